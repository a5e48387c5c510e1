"""Whose request it is: the client's address, believed only as far as the proxies that told it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

type IPAddress = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

# An IPv6 address with an IPv4 one at its end.
LONGEST = 45
# For each version of IP, the networks around an address: length of the prefix, and weight.
WEIGHTS = {4: ((32, 1), (24, 4)), 6: ((64, 1), (56, 2), (48, 4))}


def parse(text: str) -> IPAddress | None:
    """The address in ``text`` (IPv4 in IPv6 is taken out), or None.

    A zone (``fe80::1%eth0``) is cut off: it is free text of any length.
    """
    written = text.strip().strip("[]").partition("%")[0]
    return _read(written) if len(written) <= LONGEST else None


@lru_cache(1024)
def _read(text: str) -> IPAddress | None:
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def trusts(peer: IPAddress, proxies: Sequence[Network]) -> bool:
    """Whether ``peer`` is one of the proxies whose word counts."""
    return any(peer in network for network in proxies)


def client_ip(peer: IPAddress, forwarded: str, proxies: Sequence[Network]) -> IPAddress:
    """The nearest address that isn't a trusted proxy's own.

    ``forwarded`` is ``X-Forwarded-For``. It's read from the right, since each proxy appends the
    peer it saw: the left part is whatever the client wrote there. An unreadable entry ends the
    search at the last address that was vouched for.
    """
    nearest = peer
    for entry in reversed(forwarded.split(",") if forwarded else []):
        if not trusts(nearest, proxies):
            break
        further = parse(entry)
        if further is None:
            break
        nearest = further
    return nearest


def networks(ip: IPAddress) -> tuple[tuple[str, int], ...]:
    """Return the networks around ``address`` that one subscriber may have, narrowest first.

    Each comes with a weight: its limits are so many times those of the narrowest. A provider gives
    a line an IPv6 /64, /56 or /48 (RFC 6177), an IPv4 address or, to firms, a /24.
    """
    return _networks(str(ip))


@lru_cache(4096)
def _networks(ip: str) -> tuple[tuple[str, int], ...]:
    version = ip_address(ip).version
    found = ((ip_network((ip, n), strict=False), weight) for n, weight in WEIGHTS[version])
    # A single IPv4 address is written without its length, as everywhere else.
    return tuple((str(network).removesuffix("/32"), weight) for network, weight in found)

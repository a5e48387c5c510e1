"""IP addresses: parsing, the client behind trusted proxies, and the networks around an address."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

type IPAddress = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

# The length of an IPv6 address that ends in an IPv4 address.
LONGEST = 45
# For each version of IP, the prefix lengths of the networks around an address, and their weights.
WEIGHTS = {4: ((32, 1), (24, 4)), 6: ((64, 1), (56, 2), (48, 4))}


def parse(text: str) -> IPAddress | None:
    """Return the IP address in ``text``, or None if there is none.

    An IPv4 address that is mapped into IPv6 is returned as IPv4. A zone (``fe80::1%eth0``) is cut
    off, because it is free text of any length.
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
    """Return whether the address ``peer`` belongs to one of the trusted ``proxies``."""
    return any(peer in network for network in proxies)


def client_ip(peer: IPAddress, forwarded: str, proxies: Sequence[Network]) -> IPAddress:
    """Return the IP address of the client: the nearest one that is not a trusted proxy.

    ``forwarded`` is the value of ``X-Forwarded-For``. Each proxy appends the peer that it saw, so
    the entries are read from the right; a client can write anything at the left. An unreadable
    entry ends the search, and the address before it is returned.
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
    """Return the networks around ``ip`` that one subscriber line may have, narrowest first.

    Each comes with a weight, by which the limits of the narrowest network are multiplied. Providers
    assign a line an IPv6 /64, /56 or /48 (RFC 6177), an IPv4 address or, to companies, a /24.
    """
    return _networks(str(ip))


@lru_cache(4096)
def _networks(ip: str) -> tuple[tuple[str, int], ...]:
    version = ip_address(ip).version
    around = ((ip_network((ip, n), strict=False), weight) for n, weight in WEIGHTS[version])
    # A single IPv4 address is written without its prefix length.
    return tuple((str(network).removesuffix("/32"), weight) for network, weight in around)

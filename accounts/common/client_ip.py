"""Parses IP addresses, finds the client behind trusted proxies, and lists a client's networks."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

type IPAddress = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

# The length of the longest IP address in text form: an IPv6 address that ends in an IPv4 address.
LONGEST = 45
# Some load balancers append the port: ``203.0.113.9:4711``, ``[2001:db8::9]:4711``.
WITH_PORT = re.compile(r"([0-9.]+|\[[^\]]+\]):[0-9]{1,5}")
# By IP version: the prefix length and the weight of each network around an address.
WEIGHTS = {4: ((32, 1), (24, 4)), 6: ((64, 1), (56, 2), (48, 4))}


def parse(text: str) -> IPAddress | None:
    """Return ``text`` as an IP address, or None if it is not an IP address.

    An IPv4-mapped IPv6 address is returned as an IPv4 address. A zone (``fe80::1%eth0``) is cut
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
    """Return whether the IP address ``peer`` is in one of the networks ``proxies``."""
    return any(peer in network for network in proxies)


def client_ip(peer: IPAddress, forwarded: str, proxies: Sequence[Network]) -> IPAddress:
    """Return the IP address of the client that sent a request through trusted proxies.

    Each proxy appends the IP address of its own peer to ``X-Forwarded-For``. The entries are
    therefore read from right to left, up to the first IP address that is not a trusted proxy. The
    entries further left are ignored, because a client can forge them. If an entry is not an IP
    address, the result is the last IP address that was read. If ``peer`` is not a trusted proxy, it
    is the client.

    Args:
        peer: the IP address that has connected to this site.
        forwarded: the value of the header ``X-Forwarded-For``, or empty.
        proxies: the networks of the trusted proxies.
    """
    nearest = peer
    for entry in reversed(forwarded.split(",") if forwarded else []):
        if not trusts(nearest, proxies):
            break
        with_port = WITH_PORT.fullmatch(entry.strip())
        further = parse(with_port[1] if with_port else entry)
        if further is None:
            break
        nearest = further
    return nearest


def behind_proxies(meta: Mapping[str, Any], proxies: tuple[Network, ...]) -> tuple[str, str]:
    """Return the IP address of a client, and the scheme with which it has connected.

    If the peer is a trusted proxy, both are read from the headers that the proxy has set. Headers
    of other peers are ignored.

    Args:
        meta: a WSGI environment, or Django's ``request.META``.
        proxies: the networks of the trusted proxies.
    """
    address, scheme = meta.get("REMOTE_ADDR", ""), meta.get("wsgi.url_scheme", "")
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    # A client can send a long header, so only the results of short ones are kept.
    find = _client_of_proxy if len(forwarded) <= LONGEST else _client_of_proxy.__wrapped__
    ip = find(address, forwarded, proxies)
    if ip is None:
        return address, scheme
    return ip, "https" if meta.get("HTTP_X_FORWARDED_PROTO") == "https" else scheme


@lru_cache(1024)
def _client_of_proxy(address: str, forwarded: str, proxies: tuple[Network, ...]) -> str | None:
    """Return the IP address of the client; None if ``address`` is not a trusted proxy."""
    peer = parse(address)
    if peer is None or not trusts(peer, proxies):
        return None
    return str(client_ip(peer, forwarded, proxies))


def networks(ip: IPAddress) -> tuple[tuple[str, int], ...]:
    """Return the networks that contain ``ip``, narrowest first, each with its weight.

    The rate limits of a network are ``weight`` times as large as the rate limits of the narrowest
    network. The sizes are those that internet providers assign to a customer: one IPv4 address or
    an IPv6 /64, /56 or /48 (RFC 6177), and an IPv4 /24 to companies.
    """
    return _networks(str(ip))


@lru_cache(4096)
def _networks(ip: str) -> tuple[tuple[str, int], ...]:
    version = ip_address(ip).version
    around = ((ip_network((ip, n), strict=False), weight) for n, weight in WEIGHTS[version])
    # A single IPv4 address is written without its prefix length.
    return tuple((str(network).removesuffix("/32"), weight) for network, weight in around)

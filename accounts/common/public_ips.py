"""Decides which IP addresses are on the public internet."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# The IPv6 addresses that are translated to IPv4 addresses (RFC 6052).
NAT64 = IPv6Network("64:ff9b::/96")
# The assigned unicast IPv6 addresses. Other ranges embed IPv4 addresses in obsolete forms (RFC
# 4291).
GIVEN_OUT = IPv6Network("2000::/3")


def is_public(address: str) -> bool:
    """Return whether the IP address ``address`` is on the public internet.

    Some IPv6 addresses contain an IPv4 address. Such an IPv6 address is public if the IPv4 address
    in it is public.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = IPv4Address(ip.packed[-4:])
        if inner:
            return is_public(str(inner))
        if ip not in GIVEN_OUT:
            return False
    return ip.is_global and not ip.is_multicast

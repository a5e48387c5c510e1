"""X-Forwarded-For is read from the right, as far as trusted proxies have written it."""

from ipaddress import ip_address, ip_network

import pytest

from accounts.common.client_info import client_ip, networks, parse_ip

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


@pytest.mark.parametrize(
    "peer, forwarded, client",
    [
        ("203.0.113.9", "192.0.2.1", "203.0.113.9"),  # an untrusted peer's header is ignored
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.66, 192.0.2.1", "192.0.2.1"),  # the client wrote the left value
        ("10.0.0.1", "192.0.2.66, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.1, unknown", "10.0.0.1"),  # unreadable: the last trusted hop counts
        ("10.0.0.1", "192.0.2.1:1234", "192.0.2.1"),  # as Azure's gateway writes it
        ("10.0.0.1", "[2001:db8:2::5]:1234", "2001:db8:2::5"),
        ("10.0.0.1", "192.0.2.1:", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1\0, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("2001:db8:1::1", " [2001:db8:2::5] ", "2001:db8:2::5"),
        ("::ffff:10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "fe80::1%a zone is free text", "fe80::1"),
        ("10.0.0.1", "0000:0000:0000:0000:0000:ffff:192.168.100.228", "192.168.100.228"),
    ],
)
def test_the_rightmost_untrusted_forwarded_ip_is_the_client_ip(
    peer: str, forwarded: str, client: str
) -> None:
    address = parse_ip(peer)
    assert address

    assert client_ip(address, forwarded, PROXIES) == ip_address(client)


@pytest.mark.parametrize(
    "one, other, shared",
    [
        ("2001:db8::1", "2001:db8::ffff:2", [1, 2, 4]),
        ("2001:db8::1", "2001:db8:0:1::1", [2, 4]),
        ("2001:db8::1", "2001:db8:0:ffff::1", [4]),
        ("2001:db8::1", "2001:db8:1::1", []),
        ("192.0.2.1", "::ffff:192.0.2.1", [1, 4]),
        ("192.0.2.1", "192.0.2.255", [4]),
        ("192.0.2.1", "192.0.3.1", []),
    ],
)
def test_two_ips_share_the_networks_that_one_subscriber_may_have(
    one: str, other: str, shared: list[int]
) -> None:
    here, there = ([*networks(address)] for text in (one, other) if (address := parse_ip(text)))

    assert [weight for network, weight in here if (network, weight) in there] == shared

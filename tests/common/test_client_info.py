"""Who sends a request, and from where."""

from ipaddress import ip_address, ip_network

import pytest
from django.utils import translation

from accounts.common import client_info
from accounts.common.client_info import ClientInfo, client_ip, parse_ip
from accounts.common.environment import ConfigError, read
from tests.support import mmdb
from tests.support.standards import proves

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
CHROMEOS = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)"

AGENTS = {
    f"{MAC} {BLINK} HeadlessChrome/140.0.0.0 Safari/537.36": "Chrome on macOS",
    f"{CHROMEOS} {BLINK} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0": "Edge on ChromeOS",
    f"{IPHONE} {WEBKIT} CriOS/140.0.7339.39 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0": "Firefox on Linux",
    f"{MAC} {WEBKIT} Version/18.6 Safari/605.1.15": "Safari on macOS",
    "curl/8.14.1": "curl",
    "": "Unknown program",
    "See <b>evil.example</b>:/1 CFNetwork/1 Darwin/2": "Unknown program",
}


@pytest.mark.parametrize("agent, words", AGENTS.items(), ids=AGENTS.values())
def test_a_user_agent_becomes_a_device_name_that_survives_browser_updates(agent, words):
    device = ClientInfo("192.0.2.1", agent).device
    newer = agent.replace("140.0", "151.2").replace("142.0", "151.0").replace("10_15", "26_1")

    assert str(device) == words
    assert ClientInfo("192.0.2.2", newer).device == device


def test_the_repr_of_client_info_hides_the_known_browser_cookie():
    assert "secret" not in repr(ClientInfo("192.0.2.1", "", "secret"))


PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


@proves("V4.1.3", "V15.3.4", "RFC9700-4.13")
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
def test_the_rightmost_untrusted_forwarded_ip_is_the_client_ip(peer, forwarded, client):
    """Withstands a hostile client: X-Forwarded-For is forged."""
    address = parse_ip(peer)
    assert address

    assert client_ip(address, forwarded, PROXIES) == ip_address(client)


@pytest.fixture
def path(tmp_path):
    return mmdb.write(
        tmp_path / "places.mmdb",
        {
            "203.0.113.0/24": mmdb.city("Berlin"),
            "198.51.100.0/25": mmdb.city("Munich", de="München"),
            "192.0.2.0/24": {"country": {"names": {"en": "Peru"}}},
            "2001:db8:7::/48": mmdb.city("Lagos"),
        },
    )


def test_a_place_is_a_city_or_else_a_country_in_the_language_of_the_reader(path):
    file = client_info.location_file(str(path))
    for ip, place, german in (
        ("203.0.113.7", "Berlin", "Berlin"),
        ("198.51.100.127", "Munich", "München"),
        ("198.51.100.128", "", ""),
        ("192.0.2.9", "Peru", "Peru"),
        ("2001:db8:7::1", "Lagos", "Lagos"),
        ("", "", ""),
    ):
        assert client_info.name(file, ip) == place
        with translation.override("de"):
            assert client_info.name(file, ip) == german


def test_a_missing_or_truncated_file_stops_the_start_with_a_sentence(path, tmp_path):
    given = {"ENVIRONMENT": "development", "GEOIP_FILE": str(path)}
    whole = path.read_bytes()
    # Without the middle of its search tree.
    path.write_bytes(whole[:60] + whole[whole.index(mmdb.MARKER) :])
    with pytest.raises(ConfigError, match="GEOIP_FILE is not a complete file in MaxMind format"):
        read(given, tmp_path)

    path.unlink()
    with pytest.raises(ConfigError, match="GEOIP_FILE can't be read"):
        read(given, tmp_path)

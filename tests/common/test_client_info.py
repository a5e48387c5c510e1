"""Device names: the same for all versions of a browser, and without text that a client chose."""

import pytest

from accounts.common.client_info import ClientInfo

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
def test_a_user_agent_becomes_a_device_name_that_survives_browser_updates(
    agent: str, words: str
) -> None:
    device = ClientInfo("192.0.2.1", agent).device
    newer = agent.replace("140.0", "151.2").replace("142.0", "151.0").replace("10_15", "26_1")

    assert str(device) == words
    assert ClientInfo("192.0.2.2", newer).device == device


def test_the_repr_of_client_info_hides_the_known_browser_cookie() -> None:
    assert "secret" not in repr(ClientInfo("192.0.2.1", "", "secret"))

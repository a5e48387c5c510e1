"""Copied cookies in another browser or network, and hostile user agents."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.common.client_info import LONGEST_NAME, LONGEST_USER_AGENT
from accounts.sessions.models import LoginSession
from tests.support.signin import set_up, signed_in
from tests.support.steps import WRONG, is_signed_in, make_staff, make_user, sign_in, sign_in_twice
from tests.support.urls import CALLS, OPEN, PAGES, address

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
HERS = FIREFOX.format(140)
CURL = "curl/8.14.1"
REAUTHENTICATE = "/accounts/reauthenticate/"
LOGOUT = "/accounts/logout/"


def browser(agent: str = HERS, **extra: Any) -> Client:
    return Client(headers={"user-agent": agent}, **extra)


def signed_in_at(client: Client, username: str = "alice") -> Client:
    assert sign_in(client, username).status_code == 302
    return client


def with_cookie_of(owner: Client, thief: Client) -> Client:
    thief.cookies["sessionid"] = owner.cookies["sessionid"].value
    return thief


def test_a_session_in_another_browser_reaches_nothing_before_reauthentication() -> None:
    # The API reference, which is public, has a carol in its examples.
    alice, carol, owner = make_user("alice"), make_staff("carol-of-staff"), browser()
    assert sign_in_twice(owner, carol).url == "/"
    other = signed_in(carol)
    thief = with_cookie_of(owner, browser(CURL))
    everything = {"others": "1", "password": WRONG, "is_active": "on", "is_staff": "on"}

    for route in PAGES - OPEN:
        path = address(route).replace("user/1/", f"user/{alice.pk}/")
        for answer in (thief.get(path), thief.post(path, everything)):
            assert answer.status_code == 302, route
            assert answer.url.startswith(REAUTHENTICATE), route
    assert all(thief.get(address(route)).status_code == 401 for route in CALLS - OPEN)
    for route in OPEN - {REAUTHENTICATE[1:], LOGOUT[1:]}:
        for answer in (thief.get(address(route)), thief.post(address(route), everything)):
            assert b"carol-of-staff" not in answer.content, route
    assert thief.post(REAUTHENTICATE, {"password": WRONG}).status_code == 200

    alice.refresh_from_db()
    carol.refresh_from_db()
    assert not alice.is_staff
    assert carol.has_usable_password()
    assert [is_signed_in(each) for each in (thief, owner, other)] == [False, True, True]
    assert Activity.objects.filter(kind="browser_changed").count() == 1


def test_a_thief_in_another_browser_does_not_get_the_owners_flash_messages() -> None:
    alice = make_user("alice")
    owner, other = signed_in_at(browser()), signed_in(alice)
    owner.post("/accounts/sessions/", {"others": "1"})
    thief = with_cookie_of(owner, browser(CURL))

    for route in OPEN:
        assert b"1 other session was signed out" not in thief.get(address(route)).content, route

    assert b"1 other session was signed out" in owner.get("/accounts/sessions/").content
    assert not is_signed_in(other)


def test_another_network_is_detected_behind_a_trusted_proxy(settings: Any) -> None:
    set_up(
        settings,
        session_protection_network="on",
        trusted_proxies=(ip_network("127.0.0.1"),),
    )
    make_user("alice")
    owner = signed_in_at(browser(HTTP_X_FORWARDED_FOR="198.51.100.1, 2001:db8:0:1::5"))

    def reached_from(forwarded: str) -> bool:
        return is_signed_in(with_cookie_of(owner, browser(HTTP_X_FORWARDED_FOR=forwarded)))

    assert reached_from("2001:db8:0:1::99"), "the same /64"
    assert not reached_from("2001:db8:0:2::5")
    assert not reached_from("2001:db8:0:1::5, 203.0.113.7")


AGENTS = {
    "8 KB": "x" * 8192,
    "8 KB that looks like one": "Mozilla/5.0 (" + "a; " * 2700 + ") Chrome/1",
    "control characters": "\x1b[2J\x7f\x01Firefox/1.0\t\x85",
    "emoji": "\U0001f600 Chrome/140".encode().decode("latin-1"),
    "empty": "",
    "family of any length": "y" * 200 + "/1 CFNetwork/1 Darwin/2",
}


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_an_odd_user_agent_causes_no_server_error_and_is_stored_short_and_printable(
    agent: str,
) -> None:
    make_user("alice")
    client = browser(agent)

    assert sign_in(client, "alice", WRONG).status_code == 200
    signed_in_at(client)

    assert client.get("/accounts/sessions/").status_code == 200
    login = LoginSession.objects.get()
    rows = Activity.objects.all()
    assert len(login.agent) <= LONGEST_USER_AGENT
    for name in [login.browser, login.system, *(n for r in rows for n in (r.browser, r.system))]:
        assert len(name) <= LONGEST_NAME
        assert name.isprintable()
    assert login.agent.isprintable()


def test_an_ip_address_with_a_long_zone_causes_no_server_error(settings: Any) -> None:
    """A zone (RFC 4007) may be longer than the database column."""
    set_up(settings, trusted_proxies=(ip_network("127.0.0.1"),))
    make_user("alice")

    sign_in(browser(HTTP_X_FORWARDED_FOR="fe80::1%" + "a" * 500), "alice", WRONG)

    assert len(Activity.objects.get().ip) <= 45


# ua-parser reads any text before the slash as the name of an app.
APP = "{}/1 CFNetwork/1 Darwin/2"


def test_a_made_up_user_agent_cannot_write_text_into_another_users_history() -> None:
    """The attacker sends a user agent such as 'Alert: see evil.example' with a failed sign-in."""
    make_user("alice")
    sign_in(browser(APP.format("Alert: see https:evil.example")), "alice", WRONG)

    page = signed_in_at(browser()).get("/accounts/activity/").text

    assert "evil.example" not in page
    assert "Alert:" not in page

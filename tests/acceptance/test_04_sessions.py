"""System 4, cookies: how sessions are bound to a browser, and how they end (rows 4 and 5)."""

from urllib.parse import quote

import pytest
from django.test import Client

from tests.support.standards import proves
from tests.support.steps import (
    LOGIN,
    LOGOUT,
    PASSWORD,
    confirm,
    is_signed_in,
    mail_to,
    make_user,
    sign_in,
    sign_up,
)

SESSIONS, REAUTHENTICATE = "/accounts/sessions/", "/accounts/reauthenticate/"
PROFILE = "/accounts/profile/"
LOCKDOWN = "/accounts/lockdown/"
WANTED = f"{SESSIONS}?page=1"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}.0.0.0 Safari/537.36"
HERS = CHROME.format(140)


def alice_at(**headers):
    """Return a browser in which alice is signed in."""
    make_user("alice")
    browser = Client(headers={"user-agent": HERS}, **headers)
    sign_in(browser, "alice")
    return browser


def copy(browser, agent=HERS, **headers):
    """Return another browser, or one in another network, with the same session cookie."""
    other = Client(headers={"user-agent": agent}, **headers)
    other.cookies["sessionid"] = browser.cookies["sessionid"].value
    return other


OTHERS = {
    "another family": HERS.replace(" Chrome", " Edg/140 Chrome"),
    "another system": HERS.replace("X11; Linux x86_64", "Windows NT 10.0; Win64; x64"),
    "none": "",
}


@proves("V8.2.4", "63B-5.3")
@pytest.mark.parametrize("agent", OTHERS.values(), ids=OTHERS)
def test_4_4_basic_protection_moves_a_session_to_a_changed_browser_after_a_proof(configure, agent):
    browser = alice_at()
    changed = copy(browser, agent)

    asked = changed.get(WANTED)
    assert asked.url == f"{REAUTHENTICATE}?next={quote(WANTED)}"
    assert 'id="not-you"' in changed.get(asked.url).text
    wrong = changed.post(asked.url, {"password": "not the password"})
    assert "That isn’t your password." in wrong.text
    assert not is_signed_in(changed)
    assert changed.post(asked.url, {"password": PASSWORD}).url == WANTED
    assert changed.get(WANTED).status_code == 200
    assert not is_signed_in(browser)
    assert not is_signed_in(copy(changed))

    configure(session_protection="off", session_protection_network="on")
    assert is_signed_in(copy(changed, HERS, REMOTE_ADDR="192.0.2.1"))


@proves("V8.2.4")
def test_4_4_strong_protection_revokes_the_session_of_a_changed_browser_and_mails(configure):
    configure(session_protection="strong")
    browser = alice_at()
    thief = copy(browser, OTHERS["another system"])

    page = thief.post(LOCKDOWN, follow=True)

    assert page.request["PATH_INFO"] == LOGIN
    assert "this isn’t the browser that you signed in with." in page.text
    assert not is_signed_in(browser)
    assert thief.get(REAUTHENTICATE).url.startswith(LOGIN)
    assert "another browser took over its sign-in" in mail_to("alice").subject


@pytest.mark.parametrize("protection", ["basic", "strong"])
def test_4_4_a_browser_update_keeps_the_session(configure, protection):
    """Withstands an accident."""
    configure(session_protection=protection)
    browser = alice_at()

    for version in (141, 150, 139):
        assert is_signed_in(copy(browser, CHROME.format(version)))


@proves("63B-5.3")
@pytest.mark.parametrize(
    "binding, home, elsewhere, same",
    [
        ("off", "192.0.2.1", "192.0.2.2", True),
        ("on", "192.0.2.1", "192.0.2.2", False),
        ("on", "2001:db8::1", "2001:db8::2", True),
        ("on", "2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_4_4_binding_to_the_network_is_optional_and_ignores_forged_headers(
    configure, binding, home, elsewhere, same
):
    """Withstands a hostile client: X-Forwarded-For is forged."""
    configure(session_protection_network=binding)
    browser = alice_at(REMOTE_ADDR=home)

    forged = {"HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_X_REAL_IP": "203.0.113.9"}
    assert is_signed_in(copy(browser, REMOTE_ADDR=home, **forged))
    forged = {"HTTP_X_FORWARDED_FOR": home, "HTTP_FORWARDED": f"for={home}"}
    assert is_signed_in(copy(browser, REMOTE_ADDR=elsewhere, **forged)) is same


@proves("V7.2.2", "V7.2.4")
def test_4_5_the_session_key_changes_whenever_rights_rise(client):
    """Withstands an impostor: session fixation."""
    copies = []
    for step in (
        lambda: sign_up(client, "alice"),
        lambda: sign_in(client, "alice"),
        lambda: confirm(client, "alice"),
        lambda: client.post(LOGOUT),
        lambda: sign_in(client, "alice"),
        lambda: client.post(REAUTHENTICATE, {"password": PASSWORD}),
    ):
        step()
        copies.append(copy(client, ""))

    assert len({each.cookies["sessionid"].value for each in copies}) == len(copies)
    assert [is_signed_in(each) for each in copies] == [False] * 5 + [True]


@proves("V7.3.2")
@pytest.mark.parametrize("remember, minutes", [("", 30), ("on", 30 * 30)])
def test_4_5_a_session_expires_however_often_it_is_used(client, clock, remember, minutes):
    """Withstands a thief with a cookie.

    A session ends after a day, or after 30 days if remembered, with 47 uses in between.
    """
    make_user("alice")
    sign_in(client, "alice", remember=remember)

    for _ in range(48 - 1):
        clock.advance(minutes=minutes)
        # The session keeps the form until the user reauthenticates.
        profile = {"display_name": "", "about": "", "language": "en", "time_zone": "UTC"}
        assert "/login/" not in client.post(PROFILE, profile).url
    assert is_signed_in(client)

    clock.advance(minutes=minutes, seconds=1)
    assert not is_signed_in(client)


@proves("V7.3.1", "63B-2.2.3")
@pytest.mark.parametrize(
    "changes, remember, life",
    [
        ({}, "", {"hours": 1}),
        ({}, "on", {"days": 30}),
        ({"session_idle_minutes": 5}, "", {"minutes": 5}),
        ({"session_idle_minutes": 9999, "session_days": 2}, "", {"days": 2}),
        ({"remember_days": 3}, "on", {"days": 3}),
    ],
    ids=["idle", "remembered", "idle as set", "absolute as set", "remembered as set"],
)
def test_4_5_an_idle_session_expires_as_the_settings_say(configure, clock, changes, remember, life):
    """Withstands a thief with a cookie."""
    configure(**changes)
    make_user("alice")
    early, late = Client(), Client()
    for browser in (early, late):
        sign_in(browser, "alice", remember=remember)

    clock.advance(**life)
    assert not is_signed_in(late)
    clock.advance(seconds=-1)
    assert is_signed_in(early)

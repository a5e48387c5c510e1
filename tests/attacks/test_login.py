"""Attacks on the sign-in page."""

import re
from ipaddress import ip_network
from itertools import combinations

import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client

from accounts.passwords import foreign
from accounts.passwords import services as passwords
from accounts.passwords.schemes import ForeignHash
from accounts.throttle.limits import LOGIN_NETWORK, LOGIN_REPEAT, LOGIN_SUBSCRIBER, UNGUESSABLE
from accounts.users.services import confirm_email
from tests.support.api import call
from tests.support.foreign_hashes import BCRYPT
from tests.support.signin import set_up
from tests.support.standards import proves
from tests.support.steps import (
    CODE,
    CONFIRM,
    LOGIN,
    LOGOUT,
    PASSWORD,
    WRONG,
    make_user,
    sign_in,
    sign_up,
    without_nonces,
)

PROXIES = (ip_network("127.0.0.1"),)
GUESSES = LOGIN_SUBSCRIBER.burst


def at(address):
    """Return a browser at this IP address."""
    return Client(REMOTE_ADDR=address)


def guess(n, login="alice", *, first=1, line=0):
    """Guess ``n`` times, each from another IP address of one wide network; return the statuses."""
    browsers = (at(f"10.{line}.0.{i}") for i in range(first, first + n))
    return [sign_in(browser, login, WRONG).status_code for browser in browsers]


@pytest.mark.parametrize(
    "trusted, forwarded",
    [((), ""), ((), "203.0.113.{i}"), (PROXIES, "203.0.113.{i}, 198.51.100.9")],
    ids=["no header", "forged", "forged left of what a trusted proxy saw"],
)
def test_one_ip_address_cannot_guess_at_many_accounts(clock, settings, trusted, forwarded):
    """Withstands a guesser: X-Forwarded-For is forged."""
    set_up(settings, trusted_proxies=trusted)
    make_user("mallory")

    def guess_at(login, password, i):
        headers = {"HTTP_X_FORWARDED_FOR": forwarded.format(i=i)} if forwarded else {}
        browser = Client(REMOTE_ADDR="127.0.0.1", **headers)
        return int(sign_in(browser, login, password).status_code)

    statuses = []
    most = LOGIN_NETWORK.burst
    for i in range(most + 1):
        statuses.append(guess_at(f"account{i}", WRONG, i))
        if i % 10 == 0:
            # A successful sign-in gives no further guess.
            guess_at("mallory", PASSWORD, i)

    assert statuses == [200] * most + [429]


def test_a_successful_sign_in_resets_no_limit(clock):
    """Withstands a guesser: an own account resets the counter."""
    make_user("alice")
    make_user("bob")

    assert guess(GUESSES - 1) == [200] * (GUESSES - 1)
    assert sign_in(at("10.0.0.201"), "alice").status_code == 302
    assert sign_in(at("10.0.0.202"), "bob").status_code == 302
    assert guess(2, first=20) == [200, 429]


@proves("V2.4.1", "V6.3.1", "63B-3.2.2")
def test_a_wide_network_has_five_guesses_and_all_networks_together_twenty(clock):
    make_user("alice")

    assert [guess(GUESSES + 1, line=i) for i in range(4)] == [[200] * GUESSES + [429]] * 4
    refused = sign_in(at("10.9.0.1"), "alice")

    assert (refused.status_code, refused["Retry-After"]) == (429, "20")
    clock.advance(seconds=20)
    assert sign_in(at("10.9.0.1"), "alice").status_code == 302
    for _ in range(5):
        clock.advance(minutes=1)
        guess(2, line=0)
        assert sign_in(at("10.9.0.1"), "alice").status_code == 302, "while one network guesses"


def test_guesses_elsewhere_and_by_neighbours_do_not_block_a_known_browser(clock):
    """Withstands a guesser: the owner is to be locked out."""
    make_user("alice")
    hers = at("10.1.0.1")
    sign_in(hers, "alice")
    hers.post(LOGOUT)
    for login in ("alice", "alice@example.org"):
        for line in range(1, 6):
            guess(GUESSES, login, line=line)

    assert sign_in(hers, "alice", WRONG).status_code == 200
    hers.defaults["REMOTE_ADDR"] = "10.2.0.9"
    assert sign_in(hers, "alice").status_code == 302
    hers.post(LOGOUT)
    assert sign_in(hers, "alice@example.org").status_code == 302
    assert sign_in(at("10.1.0.1"), "alice").status_code == 429


def test_guesses_from_a_known_browser_are_limited_too(clock):
    """Withstands a guesser."""
    for name in ("alice", "bob"):
        make_user(name)
    hers, other = at("10.1.0.1"), at("10.1.0.1")
    for browser in (hers, other):
        sign_in(browser, "alice")
        browser.post(LOGOUT)
    n = LOGIN_SUBSCRIBER.burst

    assert [sign_in(hers, "alice", WRONG).status_code for _ in range(n + 1)] == [200] * n + [429]
    assert sign_in(hers, "alice@example.org", WRONG).status_code == 429
    for browser in (at("10.1.0.1"), other):
        assert sign_in(browser, "alice").status_code == 302, "other browsers keep their guesses"
    assert [sign_in(hers, "bob", WRONG).status_code for _ in range(n + 1)] == [200] * n + [429]


@pytest.mark.parametrize("login", ["alice", "alice@example.org", "nobody", "nobody@example.org"])
def test_a_used_up_limit_does_not_reveal_where_an_account_is_used(clock, login):
    """Withstands a spy.

    The answer reveals neither that the account is used in a network nor that it exists.
    """
    make_user("alice")
    sign_in(at("10.8.0.1"), "alice")
    for line in range(1, 5):
        guess(GUESSES, login, line=line)

    answers = [sign_in(at(f"10.{line}.0.1"), login, WRONG) for line in (8, 9)]

    assert [(a.status_code, a["Retry-After"]) for a in answers] == [(429, "20")] * 2


@proves("V6.3.1", "63B-3.1.1.2-g")
def test_the_username_and_emails_of_an_account_share_five_guesses(clock, hashes):
    """A sixth guess is answered as wrong, so that it does not show which logins belong together."""
    alice = make_user("alice")
    for n in range(3):
        confirm_email(alice, f"alice{n}@example.org")
    logins = ["alice", *(f"alice{n}@example.org" for n in range(3))]
    for login in logins[:2]:
        guess(GUESSES, login)
    hashes.clear()

    right = [sign_in(at("10.0.0.1"), login) for login in logins[2:]]
    nobodys = sign_in(at("10.0.0.1"), "nobody1@example.org")

    assert [answer.status_code for answer in (*right, nobodys)] == [200] * 3
    assert len(hashes) == 3
    assert sign_in(at("10.9.0.1"), logins[2]).status_code == 302, "the limit is that network's"
    for line in range(1, 6):
        guess(3, logins[line % 4], line=line)
    assert sign_in(at("10.9.0.1"), logins[3]).status_code == 200
    clock.advance(minutes=1)
    assert sign_in(at("10.9.0.1"), logins[3]).status_code == 302


def test_successful_sign_ins_are_limited_and_do_not_block_neighbours(clock):
    """Withstands a flood.

    Each IP address has a limit, and each wide network one that is four times as high.
    """
    make_user("alice")
    make_user("bob")
    networks = [at(f"2001:db8:1:{n:x}00::1") for n in range(5)]
    n = LOGIN_REPEAT.burst

    def statuses(there):
        return [call("me/", basic=f"alice:{PASSWORD}", client=there).status for _ in range(n + 1)]

    assert [statuses(there) for there in networks[:4]] == [[200] * n + [429]] * 4
    assert statuses(networks[4]) == [429] * (n + 1)
    assert sign_in(networks[0], "bob").status_code == 302
    assert sign_in(at("10.9.0.1"), "alice").status_code == 302
    again = {"password": PASSWORD}
    hers = [networks[0].post("/accounts/reauthenticate/", again) for _ in range(n + 1)]
    assert [answer.status_code for answer in hers] == [302] * n + [429], "and so in a session"


def test_neighbours_cannot_block_the_sign_in_or_reauthentication_of_a_known_browser(clock):
    """The neighbours send 59 malformed passkey answers, then use up the network's guesses."""
    alice = make_user("alice")
    hers = at("10.0.0.1")
    sign_in(hers, "alice")
    for _ in range(UNGUESSABLE.burst - 1):
        at("10.0.0.1").post("/accounts/login/passkey/", {"credential": "{}"})
    assert sign_in(at("10.0.0.1"), "alice").status_code == 302, "passwords have their own limit"
    for i in range(LOGIN_NETWORK.burst):
        guess(1, f"account{i}")
    assert guess(1, "bob") == [429]

    again = {"password": PASSWORD}
    assert hers.post("/accounts/reauthenticate/", again).status_code == 302
    hers.post(LOGOUT)
    assert sign_in(hers, "alice").status_code == 302
    assert alice.activity.filter(kind="proof_given").count() == 1


def test_a_900_kb_password_is_not_hashed(monkeypatch):
    """Withstands a flood.

    This includes the algorithms of imported accounts.
    """
    make_user("alice")
    imported = foreign.accept(BCRYPT)
    monkeypatch.delattr(Argon2PasswordHasher, "verify")
    monkeypatch.delattr(ForeignHash, "compute")

    assert passwords.verify("a" * 900_000, imported) is False
    for login in ("alice", "nobody"):
        assert sign_in(Client(), login, "a" * 900_000).status_code == 200


def test_a_password_is_kept_neither_in_the_session_nor_in_a_page():
    """Withstands a thief with the database."""
    browser = Client()
    pages = [
        sign_up(browser, "alice", "not an address"),
        sign_up(browser, "alice"),
        browser.get(CONFIRM),
        sign_in(Client(), "alice", WRONG),
        sign_in(Client(), "", PASSWORD),
    ]

    stored = repr(dict(browser.session)) + "".join(page.content.decode() for page in pages)

    assert PASSWORD not in stored
    assert WRONG not in stored
    assert "argon2" not in stored


def visit(language="en", query="", **cookies):
    client = Client(headers={"Accept-Language": language})
    client.cookies.load(cookies)
    return client.get(LOGIN, QUERY_STRING=query)


def secrets_of(page):
    """Return the CSRF token, the nonce and the challenge of a page, and check that each is one."""
    patterns = (
        'name="csrfmiddlewaretoken" value="([^"]{20,})"',
        'nonce="([^"]{20,})"',
        "challenge&quot;: &quot;([^&]{20,})&",
    )
    found = [set(re.findall(pattern, page.text)) for pattern in patterns]
    assert [len(values) for values in found] == [1, 1, 1]
    return [values.pop() for values in found]


def test_no_two_visitors_get_a_secret_in_common():
    """Withstands another member."""
    pages = [visit() for _ in range(3)]

    for page in pages:
        _csrf_token, nonce, _challenge = secrets_of(page)
        assert f"'nonce-{nonce}'" in page["Content-Security-Policy"]
        assert "\0" not in page.text
    for one, other in combinations(pages, 2):
        assert not set(secrets_of(one)) & set(secrets_of(other))
        assert without_nonces(one.text) == without_nonces(other.text)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_kept_page_is_the_page_that_django_renders(language):
    visit(language)

    kept, rendered = visit(language), visit(language, another="cookie")

    assert without_nonces(kept.text) == without_nonces(rendered.text)
    assert f'<html lang="{language}"' in kept.text


def test_a_visitor_cannot_put_their_url_into_the_page_of_others(settings):
    """Withstands another member."""
    set_up(settings)  # so that no page is kept yet

    visit(query="&" * 99)

    assert f'name="next" value="{LOGIN}"' in visit().text


def test_a_page_kept_under_other_settings_is_not_shown(settings):
    visit()

    set_up(settings, site_name="Llama Farm")

    assert "Llama Farm" in visit().text


def test_the_last_method_depends_on_a_right_proof_and_never_on_the_typed_login():
    """Withstands another member: how an account signs in.

    Otherwise, a stranger could learn whether an account exists and how its owner signs in.
    """
    make_user("alice")
    for login, password in (("alice", WRONG), ("nobody", WRONG), ("nobody", PASSWORD)):
        client = Client()
        for answer in (
            sign_in(client, login, password),
            client.post(CODE, {"login": login}),
            client.post(CODE, {"code": "ZZZZ9999"}),
            client.post("/accounts/login/", {"login": login, "again": "1"}),
        ):
            assert settings.LAST_METHOD_COOKIE_NAME not in answer.cookies, (login, password)

    assert sign_in(client, "alice").cookies[settings.LAST_METHOD_COOKIE_NAME].value == "password"

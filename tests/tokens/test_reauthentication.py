"""Reauthentication over the API (RFC 9470): it renews a session's authentication time."""

import json

import pytest

from accounts.sessions.models import LoginSession
from tests.support.api import Answer, call, claims_of, get_tokens, renew, second_step
from tests.support.api_browser import App
from tests.support.api_passkeys import sign_in
from tests.support.passkeys import owner, times_in_history
from tests.support.second_factor import unused_code
from tests.support.second_steps import new_recovery_codes, with_factor
from tests.support.signin import set_up
from tests.support.steps import PASSWORD, WRONG, make_user
from tests.support.webauthn import registered

IP = "127.0.0.1"
NOT_FRESH = (401, "insufficient_user_authentication")


def reauthenticate(token: str, **shown: object) -> Answer:
    return call("reauthenticate/", shown, token=token)


def tokens_of(alice, seed=None):
    """Sign in with the password, and a code if there is an app; return the tokens."""
    first = get_tokens()
    return first if seed is None else second_step(first["challenge"], unused_code(alice))


@pytest.fixture(autouse=True)
def long_access(settings):
    set_up(settings, access_token_seconds=3600)


def test_a_password_a_code_or_a_passkey_opens_what_needs_recent_authentication(clock):
    make_user("alice")
    bob, _seed = with_factor("bob")
    carol, passkey = owner("carol")
    first = get_tokens("bob")
    sessions = {
        "alice": get_tokens()["access"],
        "alice in a page": App().sign_in()["access"],
        "bob": second_step(first["challenge"], unused_code(bob))["access"],
        "carol": sign_in(passkey)["access"],
    }
    clock.advance(minutes=11)
    assert {call("keys/", token=token).short for token in sessions.values()} == {NOT_FRESH}

    offered = {name: call("reauthenticate/", token=token) for name, token in sessions.items()}
    shown = {
        "alice": {"password": PASSWORD},
        "alice in a page": {"password": PASSWORD},
        "bob": {"code": unused_code(bob)},
        "carol": {"credential": json.loads(passkey.get(offered["carol"]["options"]))},
    }

    assert [offer["methods"] for offer in offered.values()] == [
        ["password"], ["password"], ["code"], ["passkey", "code"],
    ]  # fmt: skip
    for name, token in sessions.items():
        answer = reauthenticate(token, **shown[name])
        assert answer.status == 200
        assert call("keys/", token=token).status == 200
    assert answer["amr"] == ["passkey"]
    row = carol.activity.get(kind="proof_given")
    assert (row.proof, row.session, row.ip) == ("passkey", carol.login_sessions.get().pk, IP)


def test_the_next_token_says_it_and_the_session_ends_no_later(clock, settings):
    set_up(settings, access_token_seconds=300)
    alice, seed = with_factor()
    tokens = tokens_of(alice, seed)
    before = LoginSession.objects.get()
    clock.advance(minutes=4)

    answer = reauthenticate(tokens["access"], code=unused_code(alice))
    renewed = claims_of(renew(tokens["refresh"])["access"])

    assert set(answer.body) == {"auth_time", "amr", "acr"}, "no token"
    assert renewed["auth_time"] == claims_of(tokens["access"])["auth_time"] + 240
    assert (renewed["sid"], renewed["acr"]) == (str(before.pk), "aal2")
    assert LoginSession.objects.get().ends_at == before.ends_at


def test_a_thief_of_a_token_has_five_tries_and_the_owner_hears_of_them(clock):
    """Withstands a thief with a token."""
    alice, seed = with_factor()
    codes = new_recovery_codes(alice)
    token = tokens_of(alice, seed)["access"]
    clock.advance(minutes=11)

    answers = [reauthenticate(token, code="000000") for _ in range(6)]

    assert [answer.code for answer in answers] == ["invalid_code"] * 5 + ["throttled"]
    assert reauthenticate(token, code=codes[0]).status == 429
    assert call("keys/", token=token).short == NOT_FRESH
    assert times_in_history(alice, "proof_guessed") == 1, "the owner gets an email"
    assert alice.activity.filter(kind="proof_failed", ip=IP).count() == 5


def test_what_the_policy_does_not_accept_is_refused_and_not_used_up(clock):
    alice, seed = with_factor()
    _bob, hers = owner("bob")
    token = tokens_of(alice, seed)["access"]
    plain = get_tokens(make_user("dave").username)["access"]
    options = call("reauthenticate/", token=sign_in(hers)["access"])["options"]
    clock.advance(minutes=11)

    for answer in (
        reauthenticate(token, password=PASSWORD),
        reauthenticate(token, credential=json.loads(hers.get(options))),
        reauthenticate(token),
        reauthenticate(plain, code="000000"),
    ):
        assert answer.short == (403, "not_accepted")
    assert reauthenticate(plain, password=WRONG).short == (401, "invalid_credentials")
    assert reauthenticate(token, code=unused_code(alice), scope="keys:write").status == 400
    assert call("keys/", token=token).short == NOT_FRESH


def test_only_a_live_session_reauthenticates(clock):
    """Neither a password without a session, nor a token whose session has ended."""
    alice = make_user("alice")
    tokens = get_tokens()
    assert call("reauthenticate/", {"password": PASSWORD}, basic=f"alice:{PASSWORD}").short == (
        NOT_FRESH
    )
    call("token/revoke/", {"token": tokens["refresh"]})

    assert reauthenticate(tokens["access"], password=PASSWORD).code == "token_not_valid"
    assert reauthenticate(tokens["refresh"], password=PASSWORD).code == "token_not_valid"
    assert times_in_history(alice, "proof_given") == 0


def test_a_new_factor_does_not_step_up_the_session_that_shows_it(clock):
    """A thief of a session could have added it."""
    alice, seed = with_factor()
    tokens = tokens_of(alice, seed)
    clock.advance(days=1)
    token, new = renew(tokens["refresh"])["access"], registered(alice)
    options = call("reauthenticate/", token=token)["options"]

    answer = reauthenticate(token, credential=json.loads(new.get(options)))

    assert (answer.status, answer["acr"]) == (200, "aal1")
    assert LoginSession.objects.get().stepped_up_at is None

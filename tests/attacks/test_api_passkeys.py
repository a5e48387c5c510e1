"""Attacks on passkeys over the API."""

import json

from django.test import Client

from accounts.codes.models import UsedOnce
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import UNGUESSABLE
from accounts.twofactor.models import Passkey as Row
from tests.support.api import call, claims_of, get_tokens
from tests.support.api_browser import App
from tests.support.api_passkeys import complete, first_step_options, send, sign_in, sign_in_options
from tests.support.api_steps import api_sessions
from tests.support.lockdown import lock_down
from tests.support.passkeys import completes_sign_in, options_of, owner, times_in_history
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.second_steps import after_password
from tests.support.signin import set_up
from tests.support.standards import proves
from tests.support.webauthn import PRESENT, WRONG_RESPONSES, Passkey

INVALID = (401, "invalid_passkey")


@proves("63B-2.2.2")
def test_a_passkey_signs_in_alone_or_after_the_password():
    alice, passkey = owner()
    enrolled(alice)

    alone = claims_of(sign_in(passkey)["access"])
    after = get_tokens()
    both = complete(passkey)

    assert (alone["amr"], alone["acr"]) == (["passkey"], "aal2")
    assert after["methods"] == ["passkey", "totp"]
    assert [row["id"] for row in after["options"]["allowCredentials"]] == [passkey.id]
    assert claims_of(both["access"])["amr"] == ["pwd", "passkey"]


def test_the_options_tell_strangers_nothing_and_store_nothing(django_assert_num_queries):
    owner()
    with django_assert_num_queries(0):
        options = sign_in_options()

    challenge, told = options.pop("challenge"), {"rpId": "localhost", "allowCredentials": []}
    assert options == {**told, "timeout": 300_000, "userVerification": "required"}
    assert challenge != sign_in_options()["challenge"]
    assert UsedOnce.objects.count() == 0


def test_a_response_works_once_on_pages_and_api():
    alice, passkey = owner()
    credential = passkey.get(sign_in_options())
    assert [send(credential).status for _ in range(2)] == [200, 401]
    challenge, options = first_step_options()
    credential = passkey.get(options)
    assert send(credential, challenge=challenge).status == 200
    assert send(credential, challenge=first_step_options()[0]).short == INVALID
    assert not completes_sign_in(after_password(), credential)
    assert api_sessions() == 2
    assert times_in_history(alice, "passkey_suspect") == 0


def test_a_challenge_of_another_purpose_or_person_is_refused():
    _alice, passkey = owner()
    _bob, _bobs = owner("bob")
    (hers, for_second), (_, for_bob) = first_step_options(), first_step_options("bob")

    for options in (for_second, for_bob, options_of(after_password(), CHALLENGE)):
        assert send(passkey.get(options)).short == INVALID
    for options in (sign_in_options(), for_bob):
        assert send(passkey.get(options), challenge=hers).short == INVALID
    assert api_sessions() == 0


def test_another_persons_passkey_completes_nothing_and_the_tries_are_counted():
    alice, _passkey = owner()
    _mallory, hers = owner("mallory")
    challenge, options = first_step_options()

    answers = [send(hers.get(options), challenge=challenge) for _ in range(6)]

    assert [answer.code for answer in answers] == ["invalid_passkey"] * 5 + ["invalid_challenge"]
    assert times_in_history(alice, "factor_failed") == 5
    assert LoginSession.objects.count() == 0


def test_a_response_for_another_site_or_purpose_is_refused(settings):
    """Withstands a forger."""
    set_up(settings, limits_scale=1000)
    _alice, passkey = owner()

    for way in (sign_in, complete):
        for why, changes in WRONG_RESPONSES.items():
            assert way(passkey, **changes).short == INVALID, why
    assert sign_in(passkey, flags=PRESENT).short == INVALID, "it has not verified its user"
    assert sign_in(passkey).status == complete(passkey).status == 200


def test_a_malformed_response_is_refused():
    owner()
    challenge, _options = first_step_options()
    for credential in (
        *({}, [], "{}", None, {"id": 5}, {"id": "a", "response": {}}, {"a": [[[[]]]]}),
        *({"id": "\ud800", "response": {"clientDataJSON": "e30"}}, {"id": "x" * 20_000}),
    ):
        for path, more in (("token/", {}), ("token/challenge/", {"challenge": challenge})):
            answer = call(path, {"credential": credential, **more})
            assert answer.status in {400, 401}, credential
            assert answer.status == 401 or "credential" in answer.body, credential


def test_a_removed_passkey_is_unknown_and_a_locked_account_names_the_page_that_unlocks_it():
    alice, passkey = owner()
    _bob, removed = owner("bob")
    Row.objects.filter(credential_id=removed.id).delete()
    lock_down(alice)

    assert sign_in(removed).short == sign_in(Passkey()).short == (401, "unknown_passkey")
    locked = sign_in(passkey)
    assert locked.short == (403, "locked_down")
    assert locked["url"].endswith("/accounts/password/reset/")
    assert api_sessions() == 0


def test_responses_are_limited_by_network_together_with_the_pages(clock):
    _alice, passkey = owner()
    for _ in range(UNGUESSABLE.burst):
        Client().post("/accounts/login/passkey/", {"credential": "{}"})

    assert sign_in(passkey).status == 429


def test_a_page_in_a_browser_completes_only_its_own_sign_in_with_a_passkey():
    _alice, passkey = owner()
    challenge, options = first_step_options()
    app = App()

    foreign = app.second_step(challenge, credential=json.loads(passkey.get(options)))
    alone = app.call("session/", {"credential": json.loads(passkey.get(sign_in_options()))})

    assert foreign.code == "invalid_challenge"
    assert alone.status == 200
    assert "refresh" not in alone.body
    assert LoginSession.objects.get().kind == "app"

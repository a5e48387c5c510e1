"""Adding the second factor that a sign-in over the API requires, and attacks on that."""

import base64
import json

import pytest

from accounts.sessions.models import LoginSession
from accounts.tokens import keyring
from accounts.tokens.models import TokenChallenge
from accounts.twofactor.models import Authenticator, Passkey, RecoveryCodes
from accounts.users import services as users
from tests.support.api import call, claims_of, get_tokens, is_good, second_step
from tests.support.api_browser import App
from tests.support.api_passkeys import sign_in
from tests.support.api_steps import first_step, mail_for
from tests.support.second_factor import code_of
from tests.support.second_steps import mails_about, with_factor
from tests.support.signin import set_up
from tests.support.steps import make_staff, make_user, outbox
from tests.support.webauthn import WRONG_RESPONSES
from tests.support.webauthn import Passkey as Device

REQUIRED = (403, "enrolment_required")
INVALID = (401, "invalid_challenge")


@pytest.fixture
def alice(settings):
    """Alice, who must have a second factor and has none."""
    set_up(settings, second_factor="all")
    return make_user("alice")


def begun(name="alice"):
    """Sign in with the password; return the challenge, and what both kinds of factors need."""
    answer = get_tokens(name)
    assert answer.short == REQUIRED
    setup = call("token/enrolment/setup/", {"challenge": answer["challenge"]})
    return answer["challenge"], setup


def app_of(setup):
    """Return the setup of an authenticator app and its first code, as the call takes them."""
    code = code_of(base64.b32decode(setup["totp"]["secret"]).hex())
    return {"setup": setup["totp"]["setup"], "code": code}


def enrol(challenge, **factor):
    return call("token/enrolment/", {"challenge": challenge, **factor})


def passkey_of(setup, device=None, **changes):
    return {"credential": json.loads((device or Device()).create(setup["passkey"], **changes))}


def test_an_app_or_a_passkey_completes_the_sign_in_and_brings_recovery_codes(alice):
    challenge, setup = begun()
    done = enrol(challenge, **app_of(setup), name="Phone")
    assert claims_of(done["access"])["amr"] == ["pwd", "otp"]
    assert len(done["recovery_codes"]) == 10
    assert second_step(first_step(), done["recovery_codes"][0]).status == 200

    make_user("bob")
    challenge, setup = begun("bob")
    device = Device()
    made, private = passkey_of(setup, device), keyring.live_keys().get().private
    for text, status in (("damaged", 503), (private, 200)):
        keyring.live_keys().update(private=text)
        keyring.forget()
        done = enrol(challenge, **made)
        assert done.status == status
    assert claims_of(done["access"])["amr"] == ["pwd", "passkey"]
    assert "A passkey was added" in outbox()[-1].subject, "a thief may have added it"
    assert sign_in(device).status == 200


def test_staff_confirm_their_mailbox_before_they_add_a_factor(settings):
    """Withstands a thief with the password.

    The password alone must not be enough (ASVS 6.4.3).
    """
    carol = make_staff("carol", has_factor=False)
    users.void_proofs_and_links(carol)
    challenge = first_step("carol", methods={"email"})
    assert call("token/enrolment/setup/", {"challenge": challenge}).short == INVALID
    assert mail_for(challenge).status == 202

    answer = second_step(challenge, mails_about("to finish signing in")[-1].code)

    assert (answer.short, answer["methods"]) == (REQUIRED, ["passkey", "totp"])
    assert second_step(challenge, "00000000").short == INVALID
    setup = call("token/enrolment/setup/", {"challenge": answer["challenge"]})
    done = enrol(answer["challenge"], **app_of(setup))
    assert claims_of(done["access"])["amr"] == ["pwd", "mail", "otp"]


def test_staff_who_need_a_passkey_add_it_after_a_code_and_nothing_else(settings):
    _carol, seed = with_factor("carol", is_staff=True)
    set_up(settings, staff_factor="passkey")

    answer = second_step(first_step("carol", methods={"totp"}), code_of(seed))

    assert (answer.short, answer["methods"]) == (REQUIRED, ["passkey"])
    setup = call("token/enrolment/setup/", {"challenge": answer["challenge"]})
    assert enrol(answer["challenge"], **app_of(setup)).short == REQUIRED
    assert Authenticator.objects.count() == 1
    done = enrol(answer["challenge"], **passkey_of(setup))
    assert claims_of(done["access"])["amr"] == ["pwd", "otp", "passkey"]


def test_whoever_has_shown_only_the_mailbox_adds_a_passkey_and_no_app(settings):
    """Withstands a thief with the mailbox."""
    set_up(settings, second_factor="all")
    make_user("alice", password=None)
    asked = call("login/code/", {"username": "alice"})["challenge"]
    answer = call("login/code/confirm/", {"challenge": asked, "code": outbox()[-1].code})
    assert (answer.short, answer["methods"]) == (REQUIRED, ["passkey"])
    challenge = answer["challenge"]
    setup = call("token/enrolment/setup/", {"challenge": challenge})

    assert enrol(challenge, **app_of(setup)).short == REQUIRED

    assert not Authenticator.objects.exists()
    assert enrol(challenge, **passkey_of(setup)).status == 200


def test_a_challenge_adds_one_factor_in_its_time(alice, clock):
    challenge, setup = begun()
    factors = [app_of(setup), passkey_of(setup)]

    assert [enrol(challenge, **factor).status for factor in factors] == [200, 401]
    assert Authenticator.objects.count() + Passkey.objects.count() == 1
    assert LoginSession.objects.count() == 1
    make_user("bob")
    challenge, setup = begun("bob")
    clock.advance(minutes=5)
    assert enrol(challenge, **passkey_of(setup)).short == INVALID
    assert call("token/enrolment/setup/", {"challenge": challenge}).short == INVALID


def test_a_stolen_challenge_adds_nothing_to_an_account_that_has_a_factor(alice):
    """Withstands a thief with a token.

    Neither one from before, nor that of a second step.
    """
    stolen, setup = begun()
    challenge, own = begun()
    token = enrol(challenge, **app_of(own))["access"]

    assert enrol(stolen, **passkey_of(setup)).short == INVALID
    for other in (first_step(), challenge, "x", ""):
        assert enrol(other, **passkey_of(setup)).status in {400, 401}
        assert call("token/enrolment/setup/", {"challenge": other}).status in {400, 401}
    assert Passkey.objects.count() == 0
    assert is_good(token)


def test_a_setup_or_a_registration_of_another_challenge_adds_nothing_and_tries_are_counted(alice):
    make_user("mallory")
    _theirs, foreign = begun("mallory")
    challenge, setup = begun()
    wrong = [app_of(foreign), passkey_of(foreign), app_of(begun()[1])]
    wrong += [app_of(setup) | {"code": "000000"}, passkey_of(setup, **WRONG_RESPONSES["no origin"])]

    codes = {enrol(challenge, **factor).code for factor in wrong}

    assert codes == {"invalid_code", "invalid_passkey"}
    assert enrol(challenge, **app_of(setup)).short == INVALID, "five tries are enough"
    assert RecoveryCodes.objects.count() == LoginSession.objects.count() == 0


def test_pages_in_a_browser_and_passwords_get_no_challenge_to_add_a_factor(alice):
    """Withstands a hostile website."""
    answers = [App().sign_in(), call("me/", basic="alice:vivid otter under glass")]

    for answer in answers:
        assert answer.status in {401, 403}
        assert "challenge" not in answer.body
    assert answers[0].short == REQUIRED
    assert answers[0]["url"].endswith("/accounts/login/")
    assert TokenChallenge.objects.count() == 0


def test_terms_stop_it_before_a_factor_is_added(alice, settings):
    challenge, setup = begun()
    set_up(settings, terms_version="2", terms_url="https://example.org/terms", second_factor="all")
    refused = enrol(challenge, **app_of(setup))
    assert refused.short == (403, "terms_required")
    assert not Authenticator.objects.exists()

    assert enrol(challenge, **app_of(setup), terms="2").status == 200


def test_a_sign_in_to_an_account_that_will_be_deleted_adds_no_factor(alice, clock):
    challenge, setup = begun()
    alice.deletion_due = clock.now()
    alice.save()

    refused = enrol(challenge, **app_of(setup))

    assert refused.short == (403, "deletion_requested")
    assert not Authenticator.objects.exists()

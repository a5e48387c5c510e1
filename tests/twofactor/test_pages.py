"""The pages that set up and manage authenticators and recovery codes."""

import pytest
from django.test import Client

from accounts.common.pages import absolute
from accounts.common.proofs import Assurance, Method
from accounts.sessions.models import BrowserSession, KnownBrowser, LoginSession
from accounts.sessions.store import digest
from accounts.twofactor.models import Authenticator, RecoveryCodes
from accounts.twofactor.services import devices
from accounts.users.models import User
from tests.support.passkeys import REAUTHENTICATE, add_passkey, options_of, post_credential
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    confirm_recovery_codes,
    enrolled,
    seed_on,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.steps import PASSWORD, is_signed_in, make_staff, make_user, sign_in
from tests.support.webauthn import ADD, Passkey

OVERVIEW = "/accounts/2fa/"
CLOCK = "Your phone’s clock is a few minutes off"
WRONG = "That code isn’t right or has already been used."


@pytest.fixture
def newcomer(client, clock):
    """A user without a second factor, signed in with ``client``."""
    newcomer = make_user("alice")
    signed_in(newcomer, client)
    return newcomer


@pytest.fixture
def alice(client, clock):
    """Alice, who has an authenticator and is signed in with ``client``."""
    alice = make_user("alice")
    enrolled(alice)
    signed_in(alice, client)
    return alice


def page_of(user):
    return f"{OVERVIEW}totp/{Authenticator.objects.filter(user=user).latest('pk').pk}/"


@proves("63B-4.1.2")
def test_changing_a_factor_revokes_other_sessions_and_changes_this_session_key(client, alice):
    """Withstands a thief in the account."""
    client.post(RECOVERY_CODES, {"new": "1"})
    enrolled(alice)
    for change, following in (
        (lambda: client.post(page_of(alice), {"remove": "1"}), OVERVIEW),
        (lambda: client.post(RECOVERY_CODES, {"new": "1"}), RECOVERY_CODES),
        (lambda: set_up_authenticator(client), OVERVIEW),
        (lambda: add_passkey(client), OVERVIEW),
    ):
        other = signed_in(User.objects.get(pk=alice.pk))
        copy = Client()
        copy.cookies["sessionid"] = client.cookies["sessionid"].value

        assert change().url == following

        assert [is_signed_in(browser) for browser in (client, other, copy)] == [True, False, False]
        assert RecoveryCodes.objects.get().left == 10


def session_of(client):
    """Return the session of the browser ``client``."""
    row = BrowserSession.objects.get(pk=digest(client.cookies["sessionid"].value))
    return row.login_session


@pytest.mark.parametrize("name", ["alice", "carol"], ids=["signed in", "during sign-in"])
def test_enrolling_counts_as_the_second_step(client, clock, name):
    make_user("alice")
    make_staff("carol", has_factor=False)
    sign_in(client, name)
    clock.advance(minutes=2)

    confirm_recovery_codes(client, set_up_authenticator(client).url)

    session = session_of(client)
    proofs = (["pwd", "otp"], Assurance.TWO_STEPS, clock.now())
    assert (session.amr, session.acr, session.auth_time) == proofs
    assert session.user.username == name
    assert LoginSession.objects.count() == 1, "an existing session is kept"


def test_reauthentication_adds_its_method_and_updates_auth_time(clock):
    user = make_user("alice")
    enrolled(user)
    browser = signed_in(user, by=[Method.MAIL, Method.TRUSTED_BROWSER])
    clock.advance(minutes=20)

    assert browser.post(REAUTHENTICATE, {"password": PASSWORD}).status_code == 200
    assert browser.post(REAUTHENTICATE, {"code": unused_code(user)}).url == "/"

    session = session_of(browser)
    proofs = (["mail", "trusted_browser", "otp"], Assurance.TWO_STEPS, clock.now())
    assert (session.amr, session.acr, session.auth_time) == proofs
    assert user.activity.get(kind="proof_given").proof == "otp"
    assert KnownBrowser.objects.get().factor_at == clock.now()


def test_an_account_can_have_five_authenticators(client, alice):
    for _ in range(4):
        enrolled(alice)

    assert "You’ve reached the limit." in set_up_authenticator(client).text
    assert Authenticator.objects.count() == 5


def test_recovery_codes_need_an_authenticator(client, newcomer):
    assert client.get(RECOVERY_CODES).url == SETUP
    assert client.post(RECOVERY_CODES, {"new": "1"}).url == SETUP
    assert not RecoveryCodes.objects.exists()


def test_each_page_that_changes_factors_says_what_else_the_change_ends(client, alice):
    for _ in range(2):
        signed_in(alice)

    assert "also turns on two-step verification" not in client.get(ADD).text
    for page in (SETUP, ADD, RECOVERY_CODES, page_of(alice)):
        assert "sign you out on your 2 other devices" in client.get(page).text, page


def test_enrolment_explains_a_phone_clock_that_is_minutes_off(client, newcomer):
    seed = seed_on(client.get(SETUP).text)

    for steps in (-21, -20, -2, 2, 20, 21):
        page = client.post(SETUP, {"code": code_of(seed, steps)}).text
        assert (CLOCK in page) is (abs(steps) <= 20), steps
        assert not Authenticator.objects.exists()


def test_a_wrong_phone_clock_is_explained_only_at_enrolment(client, clock):
    """Elsewhere the hint would tell an attacker that a guessed code is almost right."""
    alice = make_user("alice")
    seed = enrolled(alice)
    sign_in(client, "alice")

    for browser, page in ((client, CHALLENGE), (signed_in(alice), REAUTHENTICATE)):
        text = browser.post(page, {"code": code_of(seed, 2)}).text
        assert WRONG in text
        assert CLOCK not in text


def test_a_factor_gets_the_given_name_and_invalid_names_are_refused(client, newcomer):
    for typed in ("a" * 65, "a\u202eb", "a\0b", "a\nb"):
        assert "<title>Error:" in set_up_authenticator(client, name=typed).text, ascii(typed)
        credential = Passkey().create(options_of(client, ADD))
        assert post_credential(client, credential, ADD, name=typed).status_code == 200
    assert devices(newcomer) == []
    set_up_authenticator(client)
    assert Authenticator.objects.get().name == "Authenticator app"

    for typed in (" ", "a" * 65, "a\u202eb"):
        page = client.post(page_of(newcomer), {"name": typed}).text
        assert "<title>Error:" in page, ascii(typed)
    client.post(page_of(newcomer), {"name": " Tablet "})
    assert Authenticator.objects.get().name == "Tablet"


def test_password_managers_find_where_passkeys_are_added_and_managed(client):
    found = client.get("/.well-known/passkey-endpoints").json()

    assert found == {"enroll": absolute("passkey_add"), "manage": absolute("passkeys")}

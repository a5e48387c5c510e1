"""What a session records about its authentication: ``amr``, ``acr`` and ``auth_time``."""

import pytest

from accounts.common.proofs import Assurance
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.sessions.store import digest
from tests.support.second_factor import (
    confirm_recovery_codes,
    enrolled,
    set_up_authenticator,
    take_second_step,
    unused_code,
)
from tests.support.steps import PASSWORD, by_mail, make_staff, make_user, sign_in

pytestmark = pytest.mark.django_db

TWO = Assurance.TWO_STEPS
REAUTHENTICATE = "/accounts/reauthenticate/"


@pytest.fixture
def alice(clock):
    """Alice, who has an authenticator."""
    alice = make_user("alice")
    enrolled(alice)
    return alice


def session_of(client):
    """Return the session of the browser ``client``."""
    row = BrowserSession.objects.get(pk=digest(client.cookies["sessionid"].value))
    assert row.login_session
    return row.login_session


@pytest.mark.parametrize("name", ["alice", "carol"], ids=["signed in", "during sign-in"])
def test_enrolling_counts_as_the_second_step(client, clock, name):
    make_user("alice")
    make_staff("carol", has_factor=False)
    sign_in(client, name)
    key = client.cookies["sessionid"].value
    clock.advance(minutes=2)

    confirm_recovery_codes(client, set_up_authenticator(client).url)

    session = session_of(client)
    assert (session.amr, session.acr, session.auth_time) == (["pwd", "otp"], TWO, clock.now())
    assert session.user.username == name
    assert LoginSession.objects.count() == 1, "an existing session is kept"
    assert client.cookies["sessionid"].value != key, "the key changes when rights rise"


def test_reauthentication_adds_its_method_and_updates_auth_time(client, alice, clock):
    by_mail(client)
    take_second_step(client, alice)
    clock.advance(minutes=20)

    assert client.post(REAUTHENTICATE, {"password": PASSWORD}).status_code == 200
    assert client.post(REAUTHENTICATE, {"code": unused_code(alice)}).url == "/"

    session = session_of(client)
    assert session.amr == ["mail", "otp"]
    assert (session.acr, session.auth_time) == (TWO, clock.now())
    row = alice.activity.get(kind="proof_given")
    assert row.proof == "otp"

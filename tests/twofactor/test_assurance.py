"""What a login session says of how somebody signed in: ``amr``, ``acr``, ``auth_time``."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.common.proofs import Assurance
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.sessions.store import digest
from accounts.users.models import User
from tests.conftest import Clock
from tests.support.second_factor import (
    confirm_recovery_codes,
    enrolled,
    set_up_authenticator,
    take_second_step,
    unused_code,
)
from tests.support.steps import (
    PASSWORD,
    by_mail,
    by_password,
    make_staff,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db

ONE, TWO = Assurance.ONE_STEP, Assurance.TWO_STEPS
REAUTHENTICATE = "/accounts/reauthenticate/"


@pytest.fixture
def alice(clock: Clock) -> User:
    """Alice, who has an authenticator."""
    alice = make_user("alice")
    enrolled(alice)
    return alice


def login_in(client: Client) -> LoginSession:
    """The login session that the browser is in."""
    row = BrowserSession.objects.get(pk=digest(client.cookies["sessionid"].value))
    assert row.login_session
    return row.login_session


@pytest.mark.parametrize("first, amr", [(by_password, ["pwd"]), (by_mail, ["mail"])])
def test_without_a_second_factor_acr_says_one_step(
    client: Client, clock: Clock, first: Callable[[Client], Any], amr: list[str]
) -> None:
    make_user("alice")

    assert first(client).url == "/"

    assert (login_in(client).amr, login_in(client).acr) == (amr, ONE)


@pytest.mark.parametrize("name", ["alice", "carol"], ids=["from inside", "at the door"])
def test_enrolling_counts_as_the_second_step(client: Client, clock: Clock, name: str) -> None:
    make_user("alice")
    make_staff("carol", has_factor=False)
    sign_in(client, name)
    key = client.cookies["sessionid"].value
    clock.advance(minutes=2)

    confirm_recovery_codes(client, set_up_authenticator(client).url)

    login = login_in(client)
    assert (login.amr, login.acr, login.auth_time) == (["pwd", "otp"], TWO, clock.now())
    assert login.user.username == name
    assert LoginSession.objects.count() == 1, "a session that there was is raised"
    assert client.cookies["sessionid"].value != key, "rights have risen"


def test_reauthentication_adds_its_method_and_updates_auth_time(
    client: Client, alice: User, clock: Clock
) -> None:
    by_mail(client)
    take_second_step(client, alice)
    clock.advance(minutes=20)

    assert client.post(REAUTHENTICATE, {"password": PASSWORD}).status_code == 200
    assert client.post(REAUTHENTICATE, {"code": unused_code(alice)}).url == "/"

    login = login_in(client)
    assert login.amr == ["mail", "otp"]
    assert (login.acr, login.auth_time) == (TWO, clock.now())
    row = alice.activity.get(kind="proof_given")
    assert row.proof == "otp"

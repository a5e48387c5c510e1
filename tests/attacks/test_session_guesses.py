"""Guesses at the reauthentication of a stolen session: the owner is mailed about the fifth."""

from typing import Any
from uuid import UUID

import pytest

from accounts.activity import events
from accounts.activity.mails import SUBJECTS
from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.sessions.models import LoginSession
from accounts.sessions.services import record_failed_reauthentication
from accounts.signin.services import reverify_password
from accounts.social.attempts import Attempt, AttemptPurpose
from accounts.social.provider_profile import ProviderProfile
from accounts.social.services import verify as prove_by_provider
from accounts.twofactor import passkeys, verification
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.second_steps import mails_about
from tests.support.signin import signed_in
from tests.support.steps import WRONG, address_of, make_user
from tests.support.webauthn import registered

pytestmark = pytest.mark.django_db

NEWS = str(SUBJECTS[events.PROOF_GUESSED])


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def test_the_fifth_failed_reauthentication_of_a_session_is_mailed_whatever_the_methods(
    alice: User, clock: Clock
) -> None:
    signed_in(alice)
    login, passkey = LoginSession.objects.get(), registered(alice)
    place = ClientInfo("192.0.2.7", "")
    actor = Actor(place, session=login.pk)
    for_another_act = passkey.get(passkeys.options_to_sign_in())
    stranger = ProviderProfile("https://op.example", "somebody")
    wrong: list[Any] = [
        lambda: reverify_password(login, WRONG, place),
        lambda: verification.verify(alice, "000000", actor),
        lambda: passkeys.verify(alice, for_another_act, actor),
        lambda: prove_by_provider(alice, stranger, Attempt("acme", AttemptPurpose.PROVE), actor),
        lambda: reverify_password(login, WRONG, place),
    ]
    for number, proof in enumerate(wrong):
        assert mails_about(NEWS) == [], number
        with pytest.raises(PublicError):
            proof()

    (mail,) = mails_about(NEWS)
    assert mail.to == address_of("alice")
    assert "/accounts/lockdown/" in mail.action_url
    assert "192.0.2.7" in str(mail)


def test_failed_reauthentications_are_mailed_once_a_day_for_each_session(
    alice: User, clock: Clock
) -> None:
    def mails_after(times: int, session: UUID) -> int:
        for _ in range(times):
            record_failed_reauthentication(alice, Actor(session=session))
        return len(mails_about(NEWS))

    stolen, other = UUID(int=1), UUID(int=2)
    assert mails_after(5, stolen) == 1
    assert mails_after(4, other) == 1
    clock.advance(hours=24, seconds=-1)
    assert mails_after(5, stolen) == 1
    assert mails_after(1, other) == 2
    clock.advance(seconds=1)
    assert mails_after(1, stolen) == 3, "the guesses of the last 24 hours count"
    clock.advance(hours=24)
    assert mails_after(4, stolen) == 3

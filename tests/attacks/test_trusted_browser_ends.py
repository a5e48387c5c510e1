"""Trusted browsers: what ends the trust, and when it ends by itself."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.twofactor.models import TrustedBrowser
from accounts.users import services as users
from tests.attacks.passkey_steps import (
    asked,
    person,
    set_up,
    show,
)
from tests.attacks.trusted_steps import (
    TRUSTED,
    cookie_of,
    is_asked,
    trusting,
    with_cookie,
)
from tests.conftest import Clock
from tests.support.second import RECOVERY_CODES, enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, outbox, path_of
from tests.support.webauthn import ADD, PASSKEYS, Passkey, registered

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Any:
    user = person()
    enrolled(user)
    return user


def change_the_password(here: Client, alice: Any, clock: Clock) -> str:
    here.post("/accounts/password/change/", {"password1": "slow comet over the harbour"})
    return "slow comet over the harbour"


def add_a_passkey(here: Client, alice: Any, clock: Clock) -> str:
    show(here, Passkey().create(asked(here, ADD)), ADD)
    return PASSWORD


def remove_a_passkey(here: Client, alice: Any, clock: Clock) -> str:
    from accounts.twofactor.models import Passkey as Row

    here.post(f"{PASSKEYS}{Row.objects.get().pk}/", {"remove": "1"})
    return PASSWORD


def make_recovery_codes(here: Client, alice: Any, clock: Clock) -> str:
    here.post(RECOVERY_CODES, {"new": "1"})
    return PASSWORD


def reset_by_mail(here: Client, alice: Any, clock: Clock) -> str:
    visitor = Client()
    visitor.post("/accounts/password/reset/", {"login": "alice"})
    link = path_of(outbox()[-1].action_url)
    clock.advance(minutes=1)
    visitor.post(link, {"code": unused_code(alice)})
    visitor.post(link, {"password1": "slow comet over the harbour"})
    return "slow comet over the harbour"


def lock_down_and_come_back(here: Client, alice: Any, clock: Clock) -> str:
    here.post("/accounts/lockdown/")
    return reset_by_mail(here, alice, clock)


def reset_and_begin_anew(here: Client, alice: Any, clock: Clock) -> str:
    call_command("reset_second_factor", "alice", stdout=io.StringIO())
    enrolled(alice)
    return PASSWORD


def outdate(here: Client, alice: Any, clock: Clock) -> str:
    users.outdate(alice)
    return PASSWORD


def end_it(here: Client, alice: Any, clock: Clock) -> str:
    here.post(TRUSTED, {"end": str(TrustedBrowser.objects.latest("pk").pk)})
    return PASSWORD


def end_all(here: Client, alice: Any, clock: Clock) -> str:
    here.post(TRUSTED, {"all": "1"})
    return PASSWORD


ENDS = [
    *(change_the_password, add_a_passkey, remove_a_passkey, make_recovery_codes, reset_by_mail),
    *(lock_down_and_come_back, reset_and_begin_anew, outdate, end_it, end_all),
]


@pytest.mark.parametrize("act", ENDS, ids=lambda act: act.__name__)
def test_what_ends_the_trust(
    alice: Any, clock: Clock, act: Callable[[Client, Any, Clock], str]
) -> None:
    registered(alice)
    here = trusting(alice)
    copy = with_cookie(cookie_of(here).value)

    password = act(here, alice, clock)

    alice.refresh_from_db()
    assert "Trusted until" not in signed_in(alice).get(TRUSTED).text
    assert is_asked(copy, password=password)


def test_the_trust_ends_after_its_days(alice: Any, clock: Clock) -> None:
    here = trusting(alice)
    clock.advance(days=30, seconds=-1)
    assert not is_asked(here), "and using it makes it no longer"

    clock.advance(seconds=1)

    assert is_asked(here)
    call_command("prune", verbosity=0)
    assert not TrustedBrowser.objects.exists()


def test_fewer_days_end_it_sooner_and_none_at_once(alice: Any, clock: Clock, settings: Any) -> None:
    here = trusting(alice)
    clock.advance(days=7)
    set_up(settings, trusted_browser_days=8)
    assert not is_asked(here)

    for days in (7, 0):
        set_up(settings, trusted_browser_days=days)
        assert is_asked(here)

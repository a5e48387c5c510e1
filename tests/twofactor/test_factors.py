"""Which second factors an account has, and had."""

import pytest

from accounts.activity.services import Actor
from accounts.common import clock as site_clock
from accounts.twofactor.models import Authenticator, Passkey
from accounts.twofactor.services import find, had_older, remove, reset
from accounts.users import former_credentials
from tests.support.second_factor import enrolled
from tests.support.steps import make_user
from tests.support.webauthn import registered


def app_of(user):
    enrolled(user)
    return Authenticator.objects.latest("pk")


def test_a_factor_is_found_by_its_owner_only_and_if_it_is_confirmed(clock):
    alice, bob = make_user("alice"), make_user("bob")
    app = app_of(alice)
    clock.advance(seconds=1)
    registered(alice)
    passkey = Passkey.objects.get()
    both = (app.persistent_id, passkey.persistent_id)

    assert [find(alice, key) for key in both] == [app, passkey]
    assert [find(bob, key) for key in both] == [None, None]
    assert (find(alice), find(bob)) == (passkey, None)
    Passkey.objects.update(confirmed=False)
    app.delete()
    assert [find(alice, key) for key in both] == [None, None]


@pytest.mark.parametrize("days, is_older", [(6, True), (7, False)])
def test_a_factor_that_was_removed_in_the_week_before_a_new_one_is_older(clock, days, is_older):
    """Withstands a thief in the account: the factor of the owner is removed first."""
    alice, bob = make_user("alice"), make_user("bob")
    first = app_of(alice)
    assert not had_older(first)
    clock.advance(days=1)
    former_credentials.keep_email(bob.emails.get(), site_clock.now())
    remove(Authenticator, alice, first.pk, Actor())
    reset(make_user("carol"), Actor())
    clock.advance(days=days)
    new, bobs = app_of(alice), app_of(bob)
    clock.advance(seconds=1)
    later = app_of(alice)
    assert had_older(later)
    remove(Authenticator, alice, later.pk, Actor())

    assert had_older(new) is is_older
    assert not had_older(bobs)
    reset(alice, Actor())
    clock.advance(seconds=1)
    assert not had_older(app_of(alice)), "an operator has removed the others"

"""Attacks by a support agent who wants more rights, an account, or to read unseen."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.throttle.limits import STAFF_CLEAR
from accounts.users.models import PendingSignup, User
from tests.administration.steps import act, desk, page_of
from tests.attacks.invitation_steps import invite, superuser
from tests.support.steps import address_of, make_user, sign_in, sign_up

pytestmark = pytest.mark.django_db


def test_support_cannot_confirm_a_sign_up_of_their_own_at_an_invited_address() -> None:
    manager = Group.objects.get(name="Manager")
    invite(superuser("owner")[1], "dave", is_staff="on", groups=[manager.pk])
    sign_up(Client(), "mallory", address_of("dave"))

    act(desk("Support"), PendingSignup.objects.get(), "confirm-address")

    mallory = User.objects.get(username="mallory")
    assert (mallory.is_staff, mallory.group_names) == (False, [])


def test_support_cannot_reset_the_limits_of_an_account_for_endless_guesses() -> None:
    alice, browser = make_user("alice"), desk("Support")

    def guess_and_reset() -> int:
        sign_in(Client(), "alice", "wrong password")
        return int(act(browser, alice, "clear-limits").status_code)

    answers = [guess_and_reset() for _ in range(STAFF_CLEAR.burst + 1)]

    assert answers == [302] * STAFF_CLEAR.burst + [429]


@pytest.mark.parametrize("name", ["send-reset", "end-sessions"])
def test_the_form_of_an_act_shows_nothing_about_a_person_without_a_trace(name: str) -> None:
    alice = make_user("alice")

    desk("Support").get(f"{page_of(alice)}{name}/")

    assert alice.activity.filter(kind="page_opened", actor="carol").exists()

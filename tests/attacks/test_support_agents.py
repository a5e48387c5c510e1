"""Attacks by support agents, and on their privacy."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.activity.services import Actor
from accounts.administration import acts
from accounts.throttle.limits import STAFF_CLEAR
from accounts.users.models import PendingSignup, User
from tests.support.administration import REASON, act, desk, member, page_of
from tests.support.api import call, get_tokens
from tests.support.invitations import invite, superuser
from tests.support.signin import signed_in
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


def test_people_do_not_learn_which_member_of_staff_acted() -> None:
    alice = make_user("alice")
    by_key = Actor(proof="pop", key="carol's script")

    acts.perform("send-reset", member("carol", "Support"), by_key, alice, reason=REASON)

    page = signed_in(alice).get("/accounts/activity/").text
    answer = str(call("activity/", token=get_tokens()["access"]).body)
    for text in (page, answer):
        assert REASON in text
        assert "carol" not in text
    assert "@staff" in answer

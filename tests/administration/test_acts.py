"""Acts of staff: what each does, and who learns of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.activity.services import Actor
from accounts.administration.acts import ACTS, API_ACTS
from accounts.common.client_info import NO_CLIENT
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.oauth import connections
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import STAFF_CLEAR
from accounts.twofactor.models import Authenticator
from accounts.users.models import EmailAddress, PendingSignup, User
from tests.support.administration import REASON, act, desk, page_of
from tests.support.api_keys import key_of
from tests.support.apps import asked_for, make_app
from tests.support.clock import Clock
from tests.support.disputes import NEW, sets_password
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import (
    PASSWORD,
    WRONG,
    address_of,
    is_signed_in,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db


def again(user: User) -> User:
    return User.objects.get(pk=user.pk)


def mails_to(user: User) -> list[Any]:
    return [mail for mail in outbox() if mail.to == address_of(user.username)]


def why_in(mail: Any) -> str:
    return dict(map(tuple, mail.facts)).get("Why", "")


def reset_link_of(user: User) -> str:
    (mail,) = [mail for mail in mails_to(user) if mail.subject.startswith("Set a new password for")]
    return path_of(mail.action_url)


PREPARE: dict[str, Callable[[User], object]] = {
    "confirm-address": lambda user: emails.add(user, "new@example.net", NO_CLIENT),
    "send-confirmation": lambda user: emails.add(user, "new@example.net", NO_CLIENT),
    "send-reset": lambda _user: None,
    "clear-limits": lambda user: [sign_in(Client(), user.username, WRONG) for _ in range(4)],
    "end-sessions": signed_in,
    "revoke-keys": key_of,
    "disconnect-apps": lambda user: connections.agree(asked_for(make_app()), user, Actor()),
    "remove-factors": enrolled,
    "lift-lock": lambda user: lock_down(user, Actor()),
    "deactivate": lambda _user: None,
    "reactivate": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
}
EVENTS = {
    "confirm-address": "address_added",
    "send-confirmation": "confirmation_sent",
    "send-reset": "reset_sent",
    "clear-limits": "limits_cleared",
    "end-sessions": "all_ended",
    "revoke-keys": "key_ended",
    "disconnect-apps": "app_disconnected",
    "remove-factors": "factors_reset",
    "lift-lock": "lock_lifted",
    "deactivate": "switched_off",
    "reactivate": "switched_on",
}


@pytest.mark.parametrize("name", API_ACTS)
def test_an_act_is_in_both_histories_and_the_owner_gets_the_reason_by_email(
    alice: User, carol: Client, clock: Clock, name: str
) -> None:
    PREPARE[name](alice)
    clock.advance(minutes=2)
    mails = len(mails_to(alice))

    answer = act(carol, alice, name)

    assert answer.status_code == 302
    assert answer.url == page_of(alice)
    row = alice.activity.latest("id")
    assert (row.kind, row.actor, row.reason) == (EVENTS[name], "carol", REASON)
    own = User.objects.get(username="carol").activity.latest("id")
    assert (own.kind, own.actor, own.reason) == ("staff_acted", "", REASON)
    assert own.detail.startswith("alice: ")
    reasons = [why_in(mail) for mail in mails_to(alice)[mails:]]
    assert (REASON in reasons) is (name != "clear-limits")
    page = signed_in(again(alice)).get("/accounts/activity/").text if name != "deactivate" else ""
    assert (REASON in page) is (name != "deactivate")


@pytest.mark.parametrize("reason", ["", "   ", "a" * 501, "a\0b", "a\u202eb"])
def test_an_act_without_a_proper_reason_shows_the_form_again_and_does_nothing(
    alice: User, carol: Client, reason: str
) -> None:
    answer = act(carol, alice, "deactivate", reason=reason)

    assert answer.status_code == 200
    assert ("Enter a reason." in answer.text) is (not reason.strip())
    assert "There is a problem" in answer.text
    assert again(alice).is_active
    assert not alice.activity.exclude(kind="page_opened").filter(actor="carol").exists()


def test_a_reason_may_have_500_characters(alice: User, carol: Client) -> None:
    act(carol, alice, "deactivate", reason="é" * 500)

    assert alice.activity.latest("id").reason == "é" * 500


def test_a_confirmed_address_belongs_to_the_person(alice: User, carol: Client) -> None:
    emails.add(alice, "new@example.net", NO_CLIENT)
    emails.add(alice, "other@example.net", NO_CLIENT)
    assert act(carol, alice, "confirm-address").status_code == 400, "two wait: one must be named"

    act(carol, alice, "confirm-address", target=str(PendingEmail.objects.earliest("expires_at").pk))

    assert EmailAddress.objects.get(email="new@example.net").user == alice
    assert PendingEmail.objects.get().email == "other@example.net"


def test_a_sign_up_that_support_confirms_becomes_a_user(carol: Client) -> None:
    sign_up(Client(), "bob")
    signup = PendingSignup.objects.get()

    assert act(carol, signup, "confirm-address").url == page_of(signup)

    bob = User.objects.get(username="bob")
    assert (bob.pk, bob.email) == (signup.pk, address_of("bob"))
    row = bob.activity.get(kind="signed_up")
    assert (row.actor, row.reason) == ("carol", REASON)
    assert is_signed_in(signed_in(bob))


def test_the_confirmation_of_a_sign_up_is_sent_even_if_strangers_used_up_the_mailbox(
    carol: Client, clock: Clock
) -> None:
    sign_up(Client(), "bob")
    for number in range(4):
        sign_up(Client(REMOTE_ADDR=f"198.51.{number}.7"), f"bob{number}", address_of("bob"))
    before = len(outbox())
    clock.advance(minutes=2)

    act(carol, PendingSignup.objects.get(username="bob"), "send-confirmation")

    assert [mail.to for mail in outbox()[before:]] == [address_of("bob")]


def test_a_reset_link_goes_only_to_an_address_of_the_person(alice: User, carol: Client) -> None:
    refused = act(carol, alice, "send-reset", target="mallory@example.org")

    assert "There is a problem" in refused.text
    assert "mallory@example.org" not in {mail.to for mail in outbox()}
    act(carol, alice, "send-reset", target=address_of("alice"))
    assert sets_password(Client(), reset_link_of(alice))


def test_factors_removed_after_waiting_stay_until_the_person_comes_back(
    alice: User, carol: Client, clock: Clock
) -> None:
    clock.advance(days=8)
    enrolled(alice)

    carol = signed_in(User.objects.get(username="carol"))
    assert act(carol, alice, "remove-factors", mode="wait").status_code == 302

    assert Authenticator.objects.filter(user=alice).exists()
    assert Recovery.objects.get().user == alice
    warning = mails_to(alice)[-1]
    assert "/accounts/2fa/recovery/" in warning.action_url
    assert why_in(warning) == REASON
    assert "IP address" not in dict(map(tuple, warning.facts))


def test_used_up_attempts_are_given_back(alice: User, carol: Client) -> None:
    attacker = Client(REMOTE_ADDR="198.51.100.7")
    for _ in range(6):
        sign_in(attacker, "alice", WRONG)
    owner = Client(REMOTE_ADDR="198.51.100.8")
    assert sign_in(owner, "alice").status_code == 429

    act(carol, alice, "clear-limits")

    assert sign_in(owner, "alice").url == "/"


def test_the_lock_is_lifted_and_the_link_sets_a_new_password(alice: User, carol: Client) -> None:
    lock_down(alice, Actor())
    assert again(alice).is_disputed

    act(carol, alice, "lift-lock")

    assert not again(alice).is_locked_down
    assert sets_password(Client(), reset_link_of(alice))
    assert sign_in(Client(), "alice", NEW).url == "/"


def test_a_switched_off_person_is_signed_out_and_can_be_switched_on_again(
    alice: User, carol: Client
) -> None:
    browser = signed_in(alice)

    act(carol, alice, "deactivate")
    assert not is_signed_in(browser)
    assert not LoginSession.objects.filter(user=alice, ended_at=None).exists()
    act(carol, alice, "reactivate")
    assert sign_in(Client(), "alice", PASSWORD).url == "/"


def test_the_page_of_a_person_offers_only_acts_that_change_something(
    alice: User, carol: Client
) -> None:
    page = carol.get(page_of(alice)).text

    assert [name for name in ACTS if f"{page_of(alice)}{name}/" in page] == [
        "send-reset",
        "deactivate",
    ]


def test_the_second_of_two_members_of_staff_is_told_that_it_is_done(
    alice: User, carol: Client
) -> None:
    assert act(carol, alice, "deactivate").status_code == 302

    answer = act(desk("Support", "dave"), alice, "deactivate")

    assert answer.status_code == 409
    assert "nothing left to do" in answer.text
    assert alice.activity.filter(kind="switched_off").count() == 1


def test_an_act_that_is_not_possible_uses_up_no_limit(alice: User, carol: Client) -> None:
    for answer in [act(carol, alice, "clear-limits") for _ in range(STAFF_CLEAR.burst)]:
        assert answer.status_code == 409
    PREPARE["clear-limits"](alice)

    assert act(carol, alice, "clear-limits").status_code == 302

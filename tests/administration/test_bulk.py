"""Bulk acts: staff choose people and give one reason, and the site acts on one after the other."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.administration import bulk, roles
from accounts.administration.models import BulkAct, BulkPerson
from accounts.common.errors import PublicError
from accounts.users.models import User
from accounts.users.rights import ACTING, Role, role_of
from tests.support.administration import (
    LIST,
    REASON,
    bulk_page,
    choose,
    desk,
    member,
    people,
    staff_of_every_role,
)
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import is_signed_in, make_user, outbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def three() -> list[User]:
    return [make_user(name) for name in ("alice", "bob", "dave")]


def active(users: list[User]) -> list[bool]:
    return [User.objects.get(pk=user.pk).is_active for user in users]


def outcomes() -> dict[str, str]:
    return dict(BulkPerson.objects.values_list("user__username", "outcome"))


def test_staff_deactivate_several_people_with_one_reason(three: list[User]) -> None:
    carol = desk()
    page = bulk_page(choose(carol, "deactivate", three))
    assert "This concerns 3 people." in carol.get(page).text
    assert "Enter a reason." in carol.post(page, {"reason": " "}).text
    assert active(three) == [True] * 3, "nothing happens before there is a reason"

    answer = carol.post(page, {"reason": REASON}, follow=True)

    assert "Done for 3 of 3 people." in answer.content.decode()
    assert active(three) == [False] * 3
    staff = User.objects.get(username="carol")
    for user in three:
        row = user.activity.get(kind="switched_off")
        assert (row.actor, row.reason) == ("carol", REASON)
        assert staff.activity.filter(detail__startswith=f"{user.username}: ").count() == 1
        assert REASON in str([mail.facts for mail in outbox() if mail.to == user.email])


def test_staff_sign_out_several_people(three: list[User]) -> None:
    browser, carol = signed_in(three[0]), desk()
    page = bulk_page(choose(carol, "end-sessions", three))

    text = carol.get(page).text
    assert "This concerns 1 person." in text
    assert "2 people: Not signed in anywhere" in text
    carol.post(page, {"reason": REASON})

    assert not is_signed_in(browser)
    assert active(three) == [True] * 3


def test_the_page_says_who_is_left_out_and_why(three: list[User]) -> None:
    helper = member("helper", "Support")
    carol = desk()
    User.objects.filter(pk=three[1].pk).update(is_active=False)
    chosen = [*three, helper, User.objects.get(username="carol")]

    page = bulk_page(choose(carol, "deactivate", chosen))

    assert outcomes() == {
        "alice": "",
        "bob": "already_done",
        "dave": "",
        "helper": "not_allowed_on_staff",
        "carol": "own_account",
    }
    assert "1 person: This is your own account." in carol.get(page).text
    carol.post(page, {"reason": REASON})
    assert active(chosen) == [False, False, False, True, True]


def test_whom_a_bulk_act_leaves_out_follows_the_rule_for_single_acts() -> None:
    def is_refused(staff: User, user: User) -> bool:
        try:
            roles.check(staff, user)
        except PublicError:
            return True
        return False

    acting = [user for user in staff_of_every_role().values() if role_of(user) in ACTING]
    everybody = [*people().values(), *acting]

    for staff in acting:
        beyond = set(roles.out_of_reach(staff, User.objects.all()))
        for user in everybody:
            assert (user in beyond) is is_refused(staff, user), (staff, user)


def test_each_request_acts_on_a_batch_and_another_process_continues(
    three: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    carol = desk()
    page = bulk_page(choose(carol, "deactivate", three))

    carol.post(page, {"reason": REASON})
    assert sorted(active(three)) == [False, False, True]
    assert "Done for 2 of 3 people." in carol.get(page).text
    assert page in carol.get(LIST).text, "the list of people leads back to it"
    again = signed_in(User.objects.get(username="carol"))
    again.post(page)

    assert active(three) == [False] * 3
    assert "Nothing is left to do." in carol.get(page).text
    assert page not in carol.get(LIST).text


def test_a_stopped_bulk_act_does_not_continue(
    three: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 1)
    carol = desk()
    page = bulk_page(choose(carol, "deactivate", three))
    carol.post(page, {"reason": REASON})

    carol.post(page, {"stop": "1"})
    carol.post(page)

    text = carol.get(page).text
    assert "Done for 1 of 3 people." in text
    assert "You stopped it." in text
    assert sorted(active(three)) == [False, True, True]


def test_staff_choose_everyone_in_a_filtered_list(three: list[User], clock: Clock) -> None:
    carol = desk()
    signed_in(three[0])

    choose(carol, "deactivate", three[:1], query="?state=never_seen", select_across="1")

    assert set(outcomes()) == {"bob", "dave"}


def test_a_bulk_act_has_a_limit(three: list[User], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    carol = desk()

    answer = choose(carol, "deactivate", three)

    assert answer.url == LIST
    assert "Choose between 1 and 5,000 people." in carol.get(LIST).text
    assert not BulkAct.objects.exists()


def test_the_list_offers_nothing_to_auditors(three: list[User]) -> None:
    def actions(browser: Client) -> Any:
        return browser.get(LIST).context["action_form"]

    assert actions(desk("Auditor")) is None
    offered = actions(desk("Support", "erin")).fields["action"].choices
    assert [name for name, _label in offered] == ["", *bulk.KINDS]


def test_old_bulk_acts_are_deleted(three: list[User], clock: Clock) -> None:
    carol = member("carol", Role.SUPPORT.title())
    started, _unstarted = (bulk.prepare("deactivate", carol, User.objects.all()) for _ in range(2))
    bulk.start(started, REASON)

    clock.advance(days=1)
    call_command("prune")
    assert list(BulkAct.objects.all()) == [started]
    clock.advance(days=28)
    call_command("prune")
    assert BulkAct.objects.exists()
    clock.advance(days=1)
    call_command("prune")
    assert not BulkPerson.objects.exists()

"""Attacks on bulk acts: rights that are lost or gained meanwhile, other staff, and two at once."""

from time import sleep
from typing import Any

import pytest

from accounts.activity.services import Actor
from accounts.administration import bulk
from accounts.administration.models import BulkPerson
from accounts.administration.roles import NotInRole
from accounts.users.models import User
from tests.support.administration import REASON, bulk_page, choose, desk, member
from tests.support.client import together
from tests.support.clock import Clock
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db

NAMES = ("alice", "bob", "dave")


def started(carol: User) -> Any:
    """Return a bulk act of carol that deactivates three people, and has been started."""
    for name in NAMES:
        make_user(name)
    prepared = bulk.prepare("deactivate", carol, User.objects.filter(username__in=NAMES))
    bulk.start(prepared, REASON)
    return prepared


def deactivated() -> set[str]:
    return set(User.objects.filter(is_active=False).values_list("username", flat=True))


def test_a_role_that_is_lost_meanwhile_stops_a_bulk_act(monkeypatch: pytest.MonkeyPatch) -> None:
    carol = member("carol", "Support")
    prepared = started(carol)
    real = bulk.acts.carry_out

    def demote_after_the_first(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        carol.groups.clear()

    monkeypatch.setattr(bulk.acts, "carry_out", demote_after_the_first)

    bulk.work(prepared, carol, Actor())
    bulk.work(prepared, member("erin", "Superuser"), Actor())

    prepared.refresh_from_db()
    assert (len(deactivated()), prepared.stopped) == (1, "not_in_role")


def test_somebody_who_has_become_staff_meanwhile_is_left_out() -> None:
    carol = member("carol", "Support")
    prepared = started(carol)
    User.objects.filter(username="bob").update(is_staff=True)

    bulk.work(prepared, carol, Actor())

    assert deactivated() == {"alice", "dave"}
    assert BulkPerson.objects.get(user__username="bob").outcome == "not_allowed_on_staff"


def test_staff_neither_see_nor_continue_the_bulk_acts_of_others() -> None:
    page = f"/admin/accounts/user/bulk/{started(member('carol', 'Support')).pk}/"
    erin = desk("Superuser", "erin")

    assert [erin.get(page).status_code, erin.post(page).status_code] == [404, 404]

    assert deactivated() == set()


def test_staff_who_only_read_prepare_no_bulk_act() -> None:
    alice, auditor = make_user("alice"), member("carol", "Auditor")

    assert choose(signed_in(auditor), "deactivate", [alice]).status_code == 403
    with pytest.raises(NotInRole):
        bulk.prepare("deactivate", auditor, User.objects.all())

    assert not BulkPerson.objects.exists()


def test_a_bulk_act_needs_a_recent_second_factor(clock: Clock) -> None:
    carol, alice = desk(), make_user("alice")
    page = bulk_page(choose(carol, "deactivate", [alice]))
    clock.advance(minutes=11)

    for answer in (
        carol.get(page),
        carol.post(page, {"reason": REASON}),
        choose(carol, "deactivate", [alice]),
    ):
        assert answer.url.startswith("/accounts/reauthenticate/")
    assert deactivated() == set()


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_act_on_nobody_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[str] = []

    def slow(_name: str, _staff: User, _actor: Actor, user: User, **_more: str) -> None:
        # The other request has read whose turn it is by the end of this pause.
        sleep(0.05)
        acted.append(user.username)

    monkeypatch.setattr(bulk.acts, "carry_out", slow)
    carol = member("carol", "Support")
    prepared = started(carol)

    together(2, lambda _i: bulk.work(prepared, carol, Actor()))

    assert sorted(acted) == sorted(NAMES)
    assert set(prepared.people.values_list("outcome", flat=True)) == {"done"}

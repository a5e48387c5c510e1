"""People see in their history which staff opened the page about them."""

from typing import Any

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_staff, make_user

pytestmark = pytest.mark.django_db


def opens_page(staff: User, person: User) -> None:
    browser = signed_in(User.objects.get(pk=staff.pk), Client())
    assert browser.get(f"/admin/accounts/user/{person.pk}/change/").status_code == 200


def views(person: User) -> list[tuple[str, str]]:
    """Return who opened the page about ``person`` in which role, oldest first."""
    rows = person.activity.filter(kind="page_opened").order_by("pk")
    return list(rows.values_list("actor", "detail"))


def test_each_member_of_staff_appears_once_an_hour(clock: Clock) -> None:
    alice, carol, dora = make_user("alice"), make_staff("carol"), make_staff("dora")

    for staff in (carol, carol, dora):
        opens_page(staff, alice)
    clock.advance(minutes=59)
    opens_page(carol, alice)
    assert views(alice) == [("carol", "superuser"), ("dora", "superuser")]

    clock.advance(minutes=1)
    opens_page(carol, alice)
    assert views(alice)[2:] == [("carol", "superuser")]


def test_the_person_reads_the_role_and_other_staff_read_the_name() -> None:
    alice, carol = make_user("alice"), make_staff("carol")
    opens_page(carol, alice)

    own = signed_in(alice).get("/accounts/activity/").text
    page = signed_in(carol).get(f"/admin/accounts/user/{alice.pk}/change/").text

    assert "A member of staff opened the page about this account" in own
    assert "<bdi>Superuser</bdi>" in own
    assert "carol" not in own
    assert "By carol" in page


def test_nothing_is_recorded_about_the_own_page_or_if_views_are_not_shown(settings: Any) -> None:
    alice, carol = make_user("alice"), make_staff("carol")

    opens_page(carol, carol)
    set_up(settings, staff_views_shown="off")
    opens_page(carol, alice)

    assert views(carol) == views(alice) == []

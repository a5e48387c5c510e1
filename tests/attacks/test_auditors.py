"""Attacks by auditors: reading personal details without a reason, or without a trace."""

from typing import Any

import pytest
from django.test import Client

from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.users.models import PendingSignup, User
from tests.support.administration import (
    ADDRESSES,
    REASON,
    alice_with_addresses,
    desk,
    member,
    page_of,
    rows,
    staff_token,
)
from tests.support.api import call
from tests.support.clock import Clock
from tests.support.second_factor import enrolled
from tests.support.signin import set_up, signed_in
from tests.support.steps import address_of, make_user, sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return alice_with_addresses()


def details(browser: Client, user: User, reason: str = REASON) -> Any:
    return browser.post(f"{page_of(user)}details/", {"reason": reason})


def shown(page: Any) -> list[str]:
    """Return the addresses that the page shows in full."""
    assert page.status_code == 200
    return [email for email in ADDRESSES if email in page.text]


def test_no_page_shows_an_auditor_a_whole_address_without_a_reason(alice: User) -> None:
    browser = desk("Auditor")
    sign_up(Client(), "bob")
    bob = PendingSignup.objects.get()

    people, page = "/admin/accounts/user/", page_of(alice)
    for path in (people, f"{people}?q=alice", page, f"{page}?rights=1"):
        assert shown(browser.get(path)) == [], path
    for path in ("/admin/accounts/user/?q=bob", page_of(bob)):
        text = browser.get(path).text
        assert ("b…@example.org" in text, address_of("bob") in text) == (True, False), path


def test_no_call_of_the_api_tells_an_auditor_a_whole_address(alice: User) -> None:
    enrolled(member("carol", "Auditor"))
    sign_up(Client(), "bob")
    token = staff_token("carol", "admin:read users:read")
    bob = PendingSignup.objects.get()

    paths = ["admin/users/", "admin/users/?q=bob"]
    paths += [f"{area}/{alice.pk}/" for area in ("admin/users", "users")]
    for path in (*paths, f"admin/users/{bob.pk}/"):
        answer = call(path, token=token)
        assert answer.status == 200
        assert "…@example.org" in str(answer.body), path
        assert "alice@" not in str(answer.body)
        assert "bob@" not in str(answer.body)


def test_a_reason_shows_all_details_once_and_the_person_reads_who_looked(alice: User) -> None:
    browser = desk("Auditor")

    assert shown(details(browser, alice)) == list(ADDRESSES)

    assert shown(browser.get(page_of(alice))) == []
    row = alice.activity.get(kind="details_read")
    assert (row.actor, row.detail, row.reason) == ("carol", "auditor", REASON)
    page = signed_in(alice).get("/accounts/activity/").text
    for text in ("A member of staff read all details", "<bdi>Auditor</bdi>", REASON):
        assert text in page
    assert "carol" not in page
    own = User.objects.get(username="carol").activity.get(kind="details_seen")
    assert (own.detail, own.reason) == ("alice", REASON)


def test_every_look_leaves_a_trace_even_if_people_do_not_see_it(alice: User, settings: Any) -> None:
    browser = desk("Auditor")
    details(browser, alice)
    set_up(settings, staff_views_shown="off")
    details(browser, alice, "another reason")

    assert alice.activity.filter(kind="details_read").count() == 1
    seen = User.objects.get(username="carol").activity.filter(kind="details_seen")
    assert list(seen.order_by("pk").values_list("reason", flat=True)) == [REASON, "another reason"]


@pytest.mark.parametrize("reason", ["", "  ", "a" * 501, "a\0b"])
def test_without_a_proper_reason_nothing_is_shown(alice: User, reason: str) -> None:
    page = details(desk("Auditor"), alice, reason)

    assert shown(page) == []
    assert "<details open>" in page.text, "the form with the error"
    assert not alice.activity.filter(kind="details_read").exists()


def test_details_need_recent_authentication_a_role_and_a_post(alice: User, clock: Clock) -> None:
    browser = desk("Auditor")
    url = f"{page_of(alice)}details/"
    assert browser.get(url).url == page_of(alice)
    clerk = signed_in(make_user("clerk", is_staff=True))
    assert details(clerk, alice).status_code == 403
    assert Client().post(url, {"reason": REASON}).status_code == 302
    clock.advance(minutes=10, seconds=1)
    assert details(browser, alice).url.startswith("/accounts/reauthenticate/")

    assert not alice.activity.filter(kind="details_read").exists()


def test_an_auditor_sees_the_details_of_a_limited_number_of_people(
    alice: User, clock: Clock
) -> None:
    browser = desk("Auditor")
    for _ in range(STAFF.burst - 1):
        hit(STAFF.of("read", User.objects.get(username="carol").pk))

    assert [details(browser, alice).status_code for _ in range(2)] == [200, 429]


def test_reading_details_changes_nothing_but_the_two_histories(alice: User) -> None:
    browser = desk("Auditor")
    before = rows()

    details(browser, alice)

    assert rows() == before

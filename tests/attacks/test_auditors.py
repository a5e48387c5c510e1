"""What auditors see of people, with which reason, and which trace they leave."""

import re

import pytest
from django.test import Client

from accounts.throttle.limits import STAFF, STAFF_READ
from accounts.throttle.services import hit
from accounts.users.models import PendingSignup, User
from tests.support.administration import (
    ADDRESSES,
    LIST,
    REASON,
    alice_with_addresses,
    bulk_page,
    choose,
    desk,
    member,
    page_of,
    rows,
    staff_token,
)
from tests.support.api import call, get_tokens
from tests.support.second_factor import enrolled
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import address_of, make_user, sign_up


@pytest.fixture
def alice():
    return alice_with_addresses()


def details(browser, user, reason=REASON):
    return browser.post(f"{page_of(user)}details/", {"reason": reason})


def shown(page):
    """Return the addresses that the page shows in full."""
    assert page.status_code == 200
    return [email for email in ADDRESSES if email in page.text]


@proves("V14.2.6")
def test_no_page_shows_an_auditor_a_whole_address_without_a_reason(alice):
    """Withstands a member of staff."""
    browser = desk("Auditor")
    sign_up(Client(), "bob")
    bob = PendingSignup.objects.get()

    page = page_of(alice)
    for path in (LIST, f"{LIST}?q=alice", page, f"{page}?rights=1"):
        assert shown(browser.get(path)) == [], path
    for path in (f"{LIST}?q=bob", page_of(bob)):
        text = browser.get(path).text
        assert ("b…@example.org" in text, address_of("bob") in text) == (True, False), path


@proves("V8.2.3")
def test_no_call_of_the_api_tells_an_auditor_a_whole_address(alice):
    """Withstands a member of staff."""
    enrolled(member("carol", "Auditor"))
    sign_up(Client(), "bob")
    token = staff_token("carol", "admin:read users:read")
    bob = PendingSignup.objects.get()

    paths = ["admin/users/", "admin/users/?q=bob"]
    paths += [f"{area}/{alice.pk}/" for area in ("admin/users", "users")]
    for path in (*paths, f"admin/users/{bob.pk}/"):
        told = str(call(path, token=token).body)
        assert "…@example.org" in told, path
        assert not re.search("(alice|bob)@", told), path


def test_a_reason_shows_all_details_once_and_the_person_reads_who_looked(alice):
    browser = desk("Auditor")
    before = rows()

    assert shown(details(browser, alice)) == list(ADDRESSES)

    assert rows() == before, "reading changes only the two histories"
    assert shown(browser.get(page_of(alice))) == []
    row = alice.activity.get(kind="details_read")
    assert (row.actor, row.detail, row.reason) == ("carol", "auditor", REASON)
    page = signed_in(alice).get("/accounts/activity/").text
    assert REASON in page
    assert "carol" not in page
    own = User.objects.get(username="carol").activity.get(kind="details_seen")
    assert (own.detail, own.reason) == ("alice", REASON)


@proves("V16.3.2")
def test_every_look_leaves_a_trace_even_if_people_do_not_see_it(alice, settings):
    set_up(settings, staff_views_shown="off")
    browser = desk("Auditor")
    browser.get(page_of(alice))
    details(browser, alice)
    details(browser, alice, "another reason")

    looks = alice.activity.filter(kind__in=("page_opened", "details_read"), actor="carol")
    assert looks.count() == 3
    hers, page = signed_in(alice), "/accounts/activity/"
    for told in (hers.get(page), hers.get("/"), hers.get(f"{page}activity.csv")):
        assert "A member of staff" not in told.getvalue().decode()
    listed = call("activity/", token=get_tokens("alice")["access"]).body["results"]
    assert not {"page_opened", "details_read"} & {row["kind"] for row in listed}
    assert hers.get(f"{page}{looks[0].pk}/").status_code == 404
    assert "staff read all details" in desk("Superuser", "erin").get(page_of(alice)).text
    seen = User.objects.get(username="carol").activity.filter(kind="details_seen")
    assert list(seen.order_by("pk").values_list("reason", flat=True)) == [REASON, "another reason"]


@pytest.mark.parametrize("reason", ["", "  ", "a" * 501, "a\0b"])
def test_without_a_proper_reason_nothing_is_shown(alice, reason):
    page = details(desk("Auditor"), alice, reason)

    assert shown(page) == []
    assert "<details open>" in page.text, "the form with the error"
    assert not alice.activity.filter(kind="details_read").exists()


@proves("V7.5.3")
def test_details_need_recent_authentication_a_role_and_a_post(alice, clock):
    browser = desk("Auditor")
    url = f"{page_of(alice)}details/"
    assert browser.get(url).url == page_of(alice)
    clerk = signed_in(make_user("clerk", is_staff=True))
    assert details(clerk, alice).status_code == 403
    assert Client().post(url, {"reason": REASON}).status_code == 302
    clock.advance(minutes=10, seconds=1)
    assert details(browser, alice).url.startswith("/accounts/reauthenticate/")

    assert not alice.activity.filter(kind="details_read").exists()


def test_an_auditor_sees_the_details_of_a_limited_number_of_people(alice, clock):
    browser = desk("Auditor")
    for _ in range(STAFF.burst - 1):
        hit(STAFF.of("read", User.objects.get(username="carol").pk))

    assert [details(browser, alice).status_code for _ in range(2)] == [200, 429]


def test_staff_leave_a_trace_of_all_the_people_whom_lists_show(clock):
    """Withstands a member of staff."""
    for name in ("alice", "bobby", "bob"):
        make_user(name)
    browser, carol = desk(), User.objects.get(username="carol")

    browser.get(LIST)
    browser.get(LIST, {"q": "bob"})
    browser.get(bulk_page(choose(browser, "deactivate", [User.objects.get(username="bob")])))
    call("admin/users/?q=bob", token=staff_token("carol"))

    looks = carol.activity.filter(kind="people_shown").order_by("pk")
    assert list(looks.values_list("detail", flat=True)) == ["4", "2", "1", "2"]
    assert "4 people shown" in browser.get("/accounts/activity/").text


def test_the_limit_counts_the_people_who_are_shown_and_not_the_pages(clock):
    for name in ("alice", "bob"):
        make_user(name)
    browser, carol = desk(), User.objects.get(username="carol")
    one = STAFF_READ.of(carol.pk)
    hit(one._replace(cost=one.depth - 5 * one.cost))

    assert [browser.get(LIST).status_code for _ in range(2)] == [200, 429]
    pages = [page_of(User.objects.get(username=name)) for name in ("alice", "bob", "alice")]
    assert [browser.get(page).status_code for page in pages] == [200, 200, 429]

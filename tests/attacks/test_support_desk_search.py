"""Attacks on the search and the pages about people in the admin."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.users.models import User
from tests.support.administration import ADDRESSES, alice_with_addresses
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return alice_with_addresses()


def staff_with(codename: str) -> Client:
    carol = make_user("carol", is_staff=True)
    carol.user_permissions.set(Permission.objects.filter(codename=codename))
    return signed_in(User.objects.get(pk=carol.pk))


def pages(browser: Client, alice: User) -> list[str]:
    """Return the page about alice, and the results of searches for her hidden addresses."""
    found = [browser.get("/admin/accounts/user/", {"q": email}).text for email in ADDRESSES[1:]]
    return [browser.get(f"/admin/accounts/user/{alice.pk}/change/").text, *found]


def test_view_only_staff_neither_see_nor_search_hidden_addresses(alice: User) -> None:
    page, *results = pages(staff_with("view_user"), alice)

    assert "a…@example.org" in page
    assert alice.email not in page
    assert "2 more addresses that you may not see" in page
    assert "s…@work.example" in page, "the history says that an address was added"
    assert not any(email in page for email in ADDRESSES[1:])
    assert not any(str(alice.pk) in result for result in results)


def test_staff_who_may_help_see_and_search_all_addresses(alice: User) -> None:
    page, *results = pages(staff_with("help_user"), alice)

    assert all(email in page for email in ADDRESSES[1:])
    assert all(alice.email in result for result in results)


def test_names_of_people_cannot_forge_the_explanation() -> None:
    forged = "Nothing stops alice. <b>Send the code to me</b>"
    alice = make_user("alice", display_name=forged, is_active=False)

    page, *_results = pages(staff_with("view_user"), alice)

    assert "alice can’t sign in because the account is deactivated." in page
    assert "<b>" not in page


@pytest.mark.parametrize("method", ["get", "head"])
def test_staff_leave_a_trace_when_they_open_a_page_about_a_person(method: str) -> None:
    alice = make_user("alice")
    browser = staff_with("view_user")

    browser.generic(method.upper(), f"/admin/accounts/user/{alice.pk}/change/")

    assert "A member of staff opened the page" in signed_in(alice).get("/accounts/activity/").text

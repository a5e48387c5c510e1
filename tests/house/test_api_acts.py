"""Everything that people do on pages has an API call, or a reason why it has none."""

import re

import pytest

from accounts.users.services import create_administrator
from authsite.docs import ACTS
from authsite.errors import MACHINES
from tests.support.openapi import METHODS
from tests.support.signin import signed_in
from tests.support.site import ROOT
from tests.support.urls import CALLS, PAGES, ROUTES, address

# Buttons that only lead to another page.
LEADS_ON = {"again"}


def is_for_people(route):
    return not route.startswith("admin/") and not f"/{route}".startswith(MACHINES)


@pytest.fixture
def posted(op):
    """The pages that take a POST request from somebody who is signed in."""
    carol = create_administrator("carol", "carol@example.org", "!")
    return {
        route
        for route in filter(is_for_people, PAGES)
        if signed_in(carol).post(address(route)).status_code != 405
    }


def test_every_page_that_takes_a_post_is_in_the_table_of_acts(posted):
    assert posted == {act.page for act in ACTS}


def test_every_act_has_a_call_that_exists_or_a_reason():
    calls = {
        f"{method.upper()} {re.sub(r'<[a-z_]+:', '<', route.removeprefix('api/v1/'))}"
        for route in CALLS
        for method in METHODS
        if hasattr(getattr(ROUTES[route].callback, "cls", None), method)
    }
    assert [act for act in ACTS if not (act.call or act.reason)] == []
    assert {act.call for act in ACTS if act.call} <= calls


def test_every_button_with_a_name_is_an_act():
    pages = "".join(file.read_text() for file in (ROOT / "templates/accounts").rglob("*.html"))
    buttons = set(re.findall(r'<button[^>]*? name="(\w+)"', pages))

    assert buttons - LEADS_ON <= {act.button for act in ACTS}

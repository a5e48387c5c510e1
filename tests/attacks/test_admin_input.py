"""Input that causes errors in Django's own admin: long searches and ids that no row can have."""

import pytest
from django.test import Client

from tests.support.administration import LIST, desk, page_of
from tests.support.steps import address_of, make_user

pytestmark = pytest.mark.django_db

INVITATIONS, GROUPS = "/admin/accounts/invitation/", "/admin/auth/group/"
APPS = "/admin/oauth/client/"
AUTOCOMPLETE = "/admin/autocomplete/?app_label=accounts&model_name=invitation&field_name=groups"
TOO_LARGE = "9" * 23


@pytest.fixture
def browser() -> Client:
    return desk("Superuser")


@pytest.mark.parametrize("query", ["x " * 1500, "a\0b", "\ud800", TOO_LARGE])
def test_no_search_causes_a_server_error(browser: Client, query: str) -> None:
    text = query.encode("utf-8", "surrogatepass")
    for path in (LIST, INVITATIONS, GROUPS, APPS):
        assert browser.get(path, {"q": text}).status_code == 200, path
    assert browser.get(AUTOCOMPLETE, {"term": text}).status_code in {200, 403}


def test_a_condition_in_the_url_of_a_list_is_refused(browser: Client) -> None:
    """Databases fail at a NUL or a broken pattern, and a pattern can find out what it matches."""
    for path, condition in (
        (GROUPS, {"name__regex": "("}),
        (INVITATIONS, {"email_key": "a\0"}),
        (LIST, {"username__regex": "("}),
    ):
        assert browser.get(path, condition).status_code == 400, path


@pytest.mark.parametrize("odd", ["x", "-", "a\0b", TOO_LARGE])
def test_an_id_that_no_row_can_have_is_refused_in_lists_and_forms(
    browser: Client, odd: str
) -> None:
    alice = make_user("alice")

    for path, name in ((LIST, "end-sessions"), (GROUPS, "delete_selected")):
        chosen = {"action": name, "_selected_action": odd}
        assert browser.post(path, chosen).status_code == 400, path
    for path, field in (
        (page_of(alice), "groups"),
        (page_of(alice), "user_permissions"),
        (f"{GROUPS}add/", "permissions"),
        (f"{INVITATIONS}add/", "groups"),
    ):
        form = {"name": "New", "email": address_of("dave"), "days": "7", field: odd}
        assert "is not a valid value" in browser.post(path, form).text, (path, field)

"""Query parameters, and lists by cursor."""

import pytest
from django.urls import resolve

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.calls.lists import parameters_of
from accounts.common.api import PAGE_SIZE
from accounts.common.secrets import public_id
from accounts.sessions.models import LoginSession
from tests.support.administration import HERE, member, staff_token
from tests.support.api import API, call
from tests.support.openapi import description, operations
from tests.support.second_factor import enrolled

pytestmark = pytest.mark.django_db


def changed(user, times=1):
    for _ in range(times):
        record(user, events.PROFILE_CHANGED, Actor(HERE))


def pages(path, token):
    """Yield the rows of each answer of a list by cursor."""
    url = f"{path}?after="
    while url:
        answer = call(url, token=token)
        assert answer.body.keys() == {"next", "results"}
        yield answer["results"]
        url = (answer["next"] or "").partition(API)[2]


def test_every_call_refuses_query_parameters_that_it_does_not_describe_and_names_them():
    """A filter that is ignored returns everybody, and a script takes the first."""
    for path, method, operation in operations(description()):
        parameters = operation.get("parameters", ())
        examples = {p["name"]: p["example"] for p in parameters if p["in"] == "path"}
        url = path.format(**examples).removeprefix(API)

        data = None if method in {"get", "delete"} else {}
        answer = call(f"{url}?stat=locked", data, method=method.upper())

        assert (answer.status, answer.fields) == (400, ["stat"]), (method, path)
        assert call(f"{url}?stat=x", {}, method="PUT").status in {401, 405}
        known = parameters_of(resolve(API + url).func.cls, method.upper())
        assert known == {p["name"] for p in parameters if p["in"] == "query"}, (method, path)


def test_a_list_by_cursor_has_each_row_once_while_others_are_added(alice, token):
    changed(alice, 2 * PAGE_SIZE)
    here = list(Activity.objects.order_by("-id").values_list("id", flat=True))

    seen = []
    for rows in pages("activity/", token):
        seen += [row["id"] for row in rows]
        changed(alice)

    assert seen == here


def test_a_cursor_tells_rows_apart_that_are_sorted_equally(alice, token, clock):
    LoginSession.objects.update(used_at=clock.now())
    row = LoginSession.objects.get()
    for _ in range(PAGE_SIZE + 1):
        row.pk, row._state.adding = public_id(), True
        row.save()

    found = [row["id"] for rows in pages("sessions/", token) for row in rows]

    assert len(found) == len(set(found)) == PAGE_SIZE + 2


def test_every_list_can_be_read_by_cursor(token):
    for path, method, operation in operations(description()):
        if any(parameter["name"] == "after" for parameter in operation.get("parameters", ())):
            answer = call(f"{path.removeprefix(API)}?after=", method=method.upper(), token=token)
            assert answer.status in {200, 401}, path
            assert answer.status == 401 or answer["next"] is None


def test_a_cursor_is_valid_only_as_it_was_given_and_only_for_its_list(alice, token):
    changed(alice, PAGE_SIZE + 1)
    following = call("activity/?after=", token=token)["next"].partition("after=")[2]

    for url in (
        *(f"activity/?after={following[:-4]}", "activity/?after=x", "activity/?after=%c2%80"),
        *(f"sessions/?after={following}", "activity/?after=1"),
    ):
        answer = call(url, token=token)
        assert (answer.status, answer.fields) == (400, ["after"]), url
    assert call("activity/?after=&page=1", token=token).fields == ["page"]


def test_staff_read_more_accounts_by_cursor_than_a_search_finds(alice, monkeypatch):
    monkeypatch.setattr("accounts.administration.api.MOST", 1)
    enrolled(member("carol", "Auditor"))
    token = staff_token("carol")

    assert call("admin/users/", token=token)["count"] == 1
    found = [row["username"] for rows in pages("admin/users/", token) for row in rows]
    assert found == ["alice", "carol"]

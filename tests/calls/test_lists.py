"""Query parameters, and lists by cursor."""

from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group
from django.urls import resolve

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.administration.search import ORDERS
from accounts.calls.lists import parameters_of
from accounts.common.pages import PAGE_SIZE
from accounts.common.secrets import public_id
from accounts.sessions.models import LoginSession
from accounts.users import services as users
from accounts.users.models import User
from tests.support.administration import HERE, member, staff_token
from tests.support.api import API, call
from tests.support.openapi import description, operations
from tests.support.second_factor import enrolled
from tests.support.steps import make_user


@pytest.fixture
def carol():
    """The token of carol, an auditor, who sees shortened addresses."""
    enrolled(member("carol", "Auditor"))
    return staff_token("carol")


def changed(user, times=1):
    for _ in range(times):
        record(user, events.PROFILE_CHANGED, Actor(HERE))


def pages(path, token):
    """Yield the rows of each answer of a list by cursor."""
    url = f"{path}{'&' if '?' in path else '?'}after="
    while url:
        answer = call(url, token=token)
        assert answer.body.keys() == {"next", "results"}
        yield answer["results"]
        url = (answer["next"] or "").partition(API)[2]


def test_every_call_refuses_query_parameters_that_it_does_not_describe_and_names_them():
    """Withstands a hostile client.

    A filter that is ignored returns everybody, and a script takes the first.
    """
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
    changed(alice, 2 * PAGE_SIZE - Activity.objects.count())
    here = list(Activity.objects.order_by("-id").values_list("id", flat=True))

    seen = []
    for rows in pages("activity/", token):
        seen.append([row["id"] for row in rows])
        changed(alice)

    assert seen == [here[:PAGE_SIZE], here[PAGE_SIZE:]]


def test_a_cursor_tells_rows_apart_that_are_sorted_equally(alice, token, clock):
    LoginSession.objects.update(used_at=clock.now())
    row = LoginSession.objects.get()
    for _ in range(PAGE_SIZE + 1):
        row.pk, row._state.adding = public_id(), True
        row.save()

    found = [row["id"] for rows in pages("sessions/", token) for row in rows]

    assert len(found) == len(set(found)) == PAGE_SIZE + 2


def test_every_list_can_be_read_by_cursor(alice, token):
    for path, method, operation in operations(description()):
        if any(parameter["name"] == "after" for parameter in operation.get("parameters", ())):
            url = f"{path.removeprefix(API)}?after=".replace("{id}", str(alice.pk))
            answer = call(url, method=method.upper(), token=token)
            assert answer.status in {200, 401}, path
            assert answer.status == 401 or answer["next"] is None


def test_a_cursor_is_valid_only_as_it_was_given_and_only_for_its_list(alice, token):
    changed(alice, PAGE_SIZE + 1)
    following = call("activity/?after=", token=token)["next"].partition("after=")[2]
    assert call("activity/", token=token)["next"].endswith(f"{API}activity/?page=2")

    for url in (
        *(f"activity/?after={following[:-4]}", "activity/?after=x", "activity/?after=%c2%80"),
        *(f"sessions/?after={following}", "activity/?after=1"),
    ):
        answer = call(url, token=token)
        assert (answer.status, answer.fields) == (400, ["after"]), url
    assert call("activity/?after=&page=1", token=token).fields == ["page"]
    # This list is no query.
    assert [row["email"] for row in call("emails/?after=", token=token)["results"]] == [alice.email]
    assert call("emails/?after=x", token=token)["results"] == []


def usernames_of(answers):
    return [row["username"] for rows in answers for row in rows]


def test_staff_read_more_accounts_by_cursor_than_a_search_finds(alice, carol, monkeypatch):
    monkeypatch.setattr("accounts.staffapi.api.MOST", 1)

    assert call("admin/users/", token=carol)["count"] == 1
    assert usernames_of(pages("admin/users/", carol)) == ["alice", "carol"]


def test_exact_conditions_find_only_the_people_who_fulfil_all_of_them(alice, carol, clock):
    """Withstands a member of staff: a filter finds hidden addresses."""
    users.confirm_email(alice, "other@work.example")
    alice.groups.add(Group.objects.create(name="Team & friends"))
    later = quote(clock.now().isoformat())
    clock.advance(minutes=1)
    make_user("bob")
    User.objects.filter(username="alice").update(updated_at=clock.now())
    found = {
        "username=Alice": ["alice"],
        "username=ali": [],
        "email=Alice%40Example.org": ["alice"],
        "email=lice%40example.org": [],
        # carol sees no address that is not primary, so she may not find it either.
        "email=other%40work.example": [],
        "group=Team+%26+friends": ["alice"],
        "group=Team": [],
        f"created_after={later}": ["bob"],
        f"updated_after={later}": ["alice", "bob"],
        f"updated_after={later}&group=Team+%26+friends&username=bob": [],
        "state=staff&username=alice": [],
        "state=staff&username=carol": ["carol"],
        "q=alice&username=bob": [],
    }
    for query, expected in found.items():
        rows = call(f"admin/users/?{query}", token=carol)["results"]
        assert sorted(row["username"] for row in rows) == expected, query


ODD = [
    *("username=", "email=", "group=", "created_after="),
    *("order=", "order=password", "order=--username"),
    *("username=%00", "created_after=yesterday", "updated_after=0001-01-01T00:00:00%2B14:00"),
    *("username=alice&username=bob", "state=locked&state=", "username__startswith=a"),
    *("username[]=alice", "password=x", "is_superuser=true", f"group={'x' * 700}"),
]


def test_no_odd_parameter_is_treated_as_no_condition(alice, carol):
    """Withstands an accident: an odd filter acts on the first of all people.

    A script would take the first of all people for the one whom it looks for.
    """
    for query in ODD:
        answer = call(f"admin/users/?{query}", token=carol)
        assert answer.status == 400, query
        assert answer.fields, query


def test_each_order_lists_everybody_once_and_has_cursors_of_its_own(alice, carol, monkeypatch):
    monkeypatch.setattr("accounts.calls.lists.PAGE_SIZE", 2)
    everybody = ["alice", "carol", *(make_user(f"user{n}").username for n in range(4))]

    for order in ORDERS:
        seen = usernames_of(pages(f"admin/users/?order={order}", carol))
        assert sorted(seen) == everybody, order
    created = call("admin/users/?order=created&after=", token=carol)
    cursor = created["next"].partition("after=")[2].partition("&")[0]
    for order in ("updated", "-created", "username"):
        answer = call(f"admin/users/?order={order}&after={cursor}", token=carol)
        assert answer.fields == ["after"], order

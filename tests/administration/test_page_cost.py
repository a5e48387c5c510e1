"""The pages of the support desk cost few queries, however much they show."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.administration.search import STATES
from accounts.apikeys import services as apikeys
from accounts.common.client_info import ClientInfo
from accounts.sessions import services as sessions
from accounts.users import services as users
from accounts.users.models import User
from tests.support.administration import LIST, desk, page_of
from tests.support.apps import connect_app, make_app
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


def queries(browser: Client, path: str) -> list[str]:
    browser.get(path)  # records that the page was opened
    with CaptureQueriesContext(connection) as found:
        assert browser.get(path).status_code == 200
    return [query["sql"] for query in found]


def test_the_list_its_filters_orders_and_searches_cost_twelve_queries_at_most() -> None:
    browser, alice = desk(), make_user("alice")
    searches = ["alice", "al", "alice@example.org", "ak_abcdefgh", str(alice.pk), "word+" * 1500]
    paths = [LIST, f"{LIST}?o=5", f"{LIST}?o=-1", *(f"{LIST}?q={text}" for text in searches)]
    paths += [f"{LIST}?state={state}" for state in STATES]

    costs = {path: len(queries(browser, path)) for path in paths}
    assert max(costs.values()) <= 12, costs


@pytest.mark.parametrize("order", ["2", "-6", "4", "-5&state=locked"])
def test_the_list_is_never_sorted_by_a_column_without_an_index(order: str) -> None:
    found = queries(desk(), f"{LIST}?o={order}")
    sorts = {sql.partition("ORDER BY ")[2] for sql in found if 'ORDER BY "accounts_user"' in sql}

    assert {sort.partition(" LIMIT")[0] for sort in sorts} == {'"accounts_user"."username_key" ASC'}


def _fill(user: User, number: int) -> None:
    """Give ``user`` more of all that the page about the user shows."""
    for n in range(number):
        client = ClientInfo(f"192.0.{number}.{n}", "Firefox")
        record(user, events.SIGN_IN_FAILED, Actor(client))
        record(user, events.SIGNED_IN, Actor(client))
        users.confirm_email(user, f"alice{number}{n}@example.org")
        apikeys.make(user, "Key", frozenset({"profile:read"}), None, Actor(client))
        signed_in(user)
        browser = sessions.live(user).exclude(sessions.IS_APP)[0]
        connect_app(browser, make_app(f"App {n}"))
    enrolled(user)


def test_the_page_about_a_person_costs_as_much_with_one_session_as_with_ten() -> None:
    alice, browser = make_user("alice"), desk()
    counts = []
    for number in (1, 9):
        _fill(alice, number)
        counts.append(len(queries(browser, page_of(alice))))

    # The services that the page asks do not know of each other, and read some rows repeatedly.
    assert counts[0] == counts[1] <= 75

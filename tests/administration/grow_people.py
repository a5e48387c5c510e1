"""Fill a site on PostgreSQL with people, and print what the pages about them cost.

This runs in the shell of a site. The environment variable `PEOPLE` is their number. Each has an
email address, a session and ten events; alice has 10,000 events. The output is JSON: for each page,
its queries and the rows that they look at, which do not depend on the load of the machine. The rows
that a page counts are left out, because staff see exact numbers.
"""

import json
import os
import re
import sys
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.administration.search import STATES
from accounts.common.client_info import ClientInfo
from accounts.users.models import User
from tests.support.copies import copy
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user

LIST = "/admin/accounts/user/"
SCATTERED = "md5('person' || (1 + n * 7919 %% {people}))::uuid"


def fill(people: int) -> Client:
    """Copy alice with her address, session and event; return her browser."""
    alice, scattered = make_user("alice"), SCATTERED.format(people=people)
    browser = signed_in(alice)
    event = record(alice, events.SIGNED_IN, Actor(ClientInfo("192.0.2.1", "Firefox")))
    session, address = alice.login_sessions.get(), alice.emails.get()
    of_n = {"id": "md5('person' || n)::uuid", "username": "'person' || n"}
    of_n |= {"username_key": "'person' || n", "date_joined": "now() - n * interval '1 second'"}
    of_n |= {"email": "CASE n %% 1000 WHEN 1 THEN '' ELSE 'person' || n END"}
    of_n |= {"password": "CASE n %% 1000 WHEN 2 THEN '!locked x' ELSE 'x' END"}
    of_n |= {"is_active": "n %% 1000 <> 3", "has_factor": "n %% 1000 <> 4"}
    of_n |= {"last_login": "CASE n %% 1000 WHEN 5 THEN NULL ELSE now() END"}
    copy(alice, 1, people, **of_n)
    owner = {"id": "n + 1000000", "user_id": "md5('person' || n)::uuid", "address": "'person' || n"}
    copy(address, 1, people, **owner, key="'person' || n || '@example.org'")
    copy(session, 1, people, id="md5('session' || n)::uuid", user_id=scattered)
    at = "now() - interval '2 days' - n * interval '4 seconds'"
    copy(event, 1, 10 * people, id="n + 1000000", user_id=scattered, at=at)
    copy(event, 1, 10_000, id="n + 100000000", at=at)
    return browser


def cost(browser: Client, path: str) -> dict[str, int]:
    """Return the number of queries of a page, and of the rows that they look at."""
    for _ in range(2):  # the first request may write, for example that the page was opened
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(path).status_code == 200, path
    found = [part for query in queries for part in re.split(r"; (?=SELECT )", query["sql"])]
    return {"queries": len(queries), "rows": sum(map(rows_of, found))}


def rows_of(sql: str) -> int:
    """Return how many rows of tables and indexes the database looks at for a statement."""
    if not sql.startswith(("SELECT", "(SELECT")) or sql.startswith("SELECT COUNT"):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.replace('%', '%%')}", [])
        [[[explained]]] = cursor.fetchall()
    return _looked_at(explained["Plan"])


def _looked_at(plan: dict[str, Any]) -> int:
    if parts := plan.get("Plans"):
        return sum(map(_looked_at, parts))
    removed = sum(number for name, number in plan.items() if name.startswith("Rows Removed"))
    return round((plan["Actual Rows"] + removed) * plan["Actual Loops"])


def main(people: int) -> None:
    setup_test_environment()
    alice, carol = fill(people), signed_in(make_staff("carol"))
    call_command("prune", stdout=StringIO())
    pk = str(User.objects.get(username="alice").pk)
    searches = ["person1000", "persno1000", "pe", "person77@example.org", pk, "word+" * 1500]
    of_staff = [LIST, *(f"{LIST}?{order}" for order in ("p=4", "o=-4", "o=1", "o=2"))]
    of_staff += [f"{LIST}{pk}/change/"]
    of_staff += [f"{LIST}?state={state}" for state in STATES]
    of_staff += [f"{LIST}?q={text}" for text in searches]
    of_staff += [f"/admin/accounts/dailycount/?by={span}" for span in ("day", "week", "month")]
    of_alice = ["/", "/accounts/sessions/", "/accounts/activity/", "/accounts/activity/?page=199"]
    costs = {path: cost(carol, path) for path in of_staff}
    costs |= {path: cost(alice, path) for path in of_alice}
    sys.stdout.write(json.dumps({path.replace(pk, "<id>"): n for path, n in costs.items()}))


main(int(os.environ["PEOPLE"]))

"""Print the query plans of a refresh and a look-up among 1,000 and among 100,000 sessions.

This runs in the shell of a site.
"""

from collections.abc import Callable
from typing import Any

from django.db import connection

from accounts.common import secrets
from accounts.common.client_info import ClientInfo
from accounts.common.database import parameter
from accounts.common.proofs import Method, Proof
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import families
from accounts.users.models import User

API = LoginSession.Kind.API
PLACE = ClientInfo("192.0.2.1", "curl/8")
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[connection.vendor]
NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}[
    connection.vendor
]
COLUMNS = [field.column for field in sessions.LoginSession._meta.concrete_fields]


def statements_of(act: Callable[[], Any]) -> list[tuple[str, Any]]:
    """Return the statements that ``act`` runs, with their values."""
    seen: list[tuple[str, Any]] = []

    def note(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((sql, params))
        return run(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    return seen


def grow(session: sessions.LoginSession, to: int) -> None:
    """Copy a session until there are ``to`` rows in all."""
    others = ", ".join(f'"{column}"' for column in COLUMNS if column != "id")
    more = to - sessions.LoginSession.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)
            INSERT INTO accounts_loginsession ("id", {others})
            SELECT {NEW_ID}, {others} FROM accounts_loginsession, n WHERE "id" = %s
            """,
            [more, parameter(session.pk)],
        )
        cursor.execute("ANALYZE")


def explain(session: sessions.LoginSession, token: str) -> str:
    """Print the plans of a refresh with ``token`` and of a look-up; return the next token."""
    rotate = statements_of(lambda: families.rotate(token, PLACE, API))
    find = statements_of(lambda: families.find_family(session.pk, session.user_id))
    print("STATEMENTS", len(rotate), len(find))
    with connection.cursor() as cursor:
        for sql, values in (*rotate, *find):
            cursor.execute(f"{EXPLAIN} {sql}", values)
            print("PLAN", " / ".join(str(row) for row in cursor.fetchall()))
    return families.successor(token)


def main() -> None:
    """Sign alice in among a thousand people, and print the plans for both numbers of sessions."""
    names = [f"user{n}" for n in range(1000)]
    User.objects.bulk_create(User(username=n, username_key=n, password="!") for n in names)
    user = User.objects.create(username="alice", username_key="alice", password="!")
    session = sessions.new_api_session(
        user, (Proof.now(Method.PASSWORD),), PLACE, kind=API, scope="read"
    )
    token = families.first_token(session.pk)
    session.refresh_digest = secrets.plain_digest(token)
    session.save(force_insert=True)
    for number in (1_000, 100_000):
        grow(session, number)
        token = explain(session, token)


main()

"""Run in a site's own shell: what a refresh and a look-up do as sign-ins grow. It prints that."""

from collections.abc import Callable
from typing import Any

from django.db import connection

from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.common.rows import parameter
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.tokens import families, refresh
from accounts.users.models import User

API = LoginSession.Kind.API
PLACE = ClientInfo("192.0.2.1", "curl/8")
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[connection.vendor]
NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}[
    connection.vendor
]
COLUMNS = [field.column for field in sessions.LoginSession._meta.concrete_fields]


def statements_of(act: Callable[[], Any]) -> list[tuple[str, Any]]:
    """The statements that ``act`` runs, with their values."""
    seen: list[tuple[str, Any]] = []

    def note(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((sql, params))
        return run(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    return seen


def grow(login: sessions.LoginSession, to: int) -> None:
    """As many rows in all, alike but for their ids."""
    others = ", ".join(f'"{column}"' for column in COLUMNS if column != "id")
    more = to - sessions.LoginSession.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)
            INSERT INTO accounts_loginsession ("id", {others})
            SELECT {NEW_ID}, {others} FROM accounts_loginsession, n WHERE "id" = %s
            """,  # noqa: S608 nothing but names of columns
            [more, parameter(sessions.LoginSession._meta.pk, login.pk)],
        )
        cursor.execute("ANALYZE")


def explain(login: sessions.LoginSession, token: str) -> str:
    """Print what a refresh with ``token`` and a look-up do; the token after it."""
    rotate = statements_of(lambda: families.rotate(token, PLACE, API))
    find = statements_of(lambda: families.find(login.pk, login.user_id))
    print("STATEMENTS", len(rotate), len(find))
    with connection.cursor() as cursor:
        for sql, values in (*rotate, *find):
            cursor.execute(f"{EXPLAIN} {sql}", values)
            print("PLAN", " / ".join(str(row) for row in cursor.fetchall()))
    return refresh.successor(token)


def main() -> None:
    """Alice is signed in, among a thousand people."""
    names = [f"user{n}" for n in range(1000)]
    User.objects.bulk_create(User(username=n, username_key=n, password="!") for n in names)
    user = User.objects.create(username="alice", username_key="alice", password="!")
    login = sessions.new_api_session(
        user, (Proof.now(Method.PASSWORD),), PLACE, kind=API, scope="read"
    )
    token = refresh.first(login.pk)
    login.refresh_digest = refresh.digest(token)
    login.save(force_insert=True)
    for number in (1_000, 100_000):
        grow(login, number)
        token = explain(login, token)


main()

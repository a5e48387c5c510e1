"""Two server processes on one database, and races between them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.site import Client, Response, Site

AT_ONCE = 8

# ``tests/sabotage`` sets fewer: a race without its defence is lost soon.
ROUNDS = int(os.environ.get("RACE_ROUNDS", "50"))
assert ROUNDS > 0

type Nodes = tuple[Site, Site]


@contextmanager
def running(**env: Any) -> Iterator[Nodes]:
    env = {"TRUSTED_PROXIES": "127.0.0.1"} | env
    with Site(**env) as site, site.second() as other:
        yield site, other


def database(request: pytest.FixtureRequest, kind: str) -> dict[str, str]:
    """Return the DATABASE_URL of a new database of this kind."""
    if kind == "sqlite":
        return {}
    return {"DATABASE_URL": request.getfixturevalue("postgres").database()}


# On PostgreSQL only as a proof, because fifty rounds of each race run there.
PROVED = [pytest.mark.postgres, pytest.mark.proof]
POSTGRES_PROVED = ["sqlite", pytest.param("postgres", marks=PROVED)]


def browser_at(node: Site, address: str) -> Client:
    """Return a browser with this IP address, behind the trusted proxy."""
    return node.client(X_Forwarded_For=address)


def round_names(race: int) -> list[str]:
    """Return a username for each round of a race. The races share a database."""
    return [f"race{race:02}round{i:02}x" for i in range(ROUNDS)]


def server_errors(answers: list[Response]) -> list[int]:
    return [answer.status for answer in answers if answer.status >= 500]

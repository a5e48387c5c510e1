"""Connects commands to other databases than that of the site."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import ConnectionHandler

from accounts.common.database_url import parse

REPLICA = "replica"


def url_of(text: str) -> str:
    """Return the URL in ``text``, or in the variable that it names. ``ps`` shows arguments.

    Raises:
        CommandError: there is no URL of SQLite or PostgreSQL.
    """
    if text == "DATABASE_URL":
        return str(settings.AUTHSITE.database_url)
    url = text if "://" in text else os.environ.get(text, "")
    try:
        parse(url)
    except ValueError as error:
        raise CommandError(
            f"Give the URL of a database, or the name of a variable that has one: it {error}."
        ) from None
    return url


@contextmanager
def connected(urls: dict[str, str]) -> Iterator[None]:
    """Make databases known to Django by their aliases, and close them afterwards."""
    given = {alias: _settings(url) for alias, url in urls.items()}
    # The handler adds the defaults, and requires a default database.
    complete = ConnectionHandler({"default": {}, **given}).databases
    connections.databases.update({alias: complete[alias] for alias in given})
    try:
        yield
    finally:
        for alias in given:
            connections[alias].close()
            del connections[alias], connections.databases[alias]


@contextmanager
def reading_from(url: str) -> Iterator[None]:
    """Let the ORM use the database at ``url`` in place of that of the site."""
    with connected({REPLICA: url}):
        own, connections[DEFAULT_DB_ALIAS] = connections[DEFAULT_DB_ALIAS], connections[REPLICA]
        try:
            yield
        finally:
            connections[DEFAULT_DB_ALIAS] = own


def _settings(url: str) -> dict[str, Any]:
    found = parse(url)
    if found["ENGINE"] == "django.db.backends.postgresql":
        from psycopg import IsolationLevel  # noqa: PLC0415 only some sites need the library

        # All tables are read as they were at one moment.
        level = IsolationLevel.REPEATABLE_READ
        found["OPTIONS"]["isolation_level"] = level
    return found

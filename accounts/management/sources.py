"""Connects commands to other databases than that of the site."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dj_database_url
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django.db.utils import ConnectionHandler


def url_of(text: str) -> str:
    """Return the URL in ``text``, or in the variable that it names. ``ps`` shows arguments.

    Raises:
        CommandError: there is no URL of SQLite or PostgreSQL.
    """
    if text == "DATABASE_URL":
        return str(settings.AUTHSITE.database_url)
    url = text if "://" in text else os.environ.get(text, "")
    if url.partition(":")[0] not in {"sqlite", "postgres", "postgresql"}:
        raise CommandError("Give the URL of a database, or the name of a variable that has one.")
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


def _settings(url: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(dj_database_url.parse(url))
    if found["ENGINE"] == "django.db.backends.postgresql":
        from psycopg import IsolationLevel  # noqa: PLC0415 only some sites need the library

        # All tables are read as they were at one moment.
        level = IsolationLevel.REPEATABLE_READ
        found["OPTIONS"] = {**found.get("OPTIONS", {}), "isolation_level": level}
    return found

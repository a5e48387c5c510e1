"""Reads the URL of a database: a file of SQLite, or servers of PostgreSQL, as libpq reads them."""

from typing import Any
from urllib.parse import unquote, urlsplit

# The values of libpq's ``target_session_attrs``.
SESSIONS = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}
ESCAPES = "is : / @ or % in the password written as %3A, %2F, %40 or %25?"


def parse(url: str) -> dict[str, Any]:
    """Return the entry of Django's ``DATABASES`` for the database at ``url``.

    If there are several hosts, connections are only made to one that accepts changes, and one that
    does not answer is left soon, unless the URL says otherwise.

    Raises:
        ValueError: the message names the fault, and contains no part of the URL.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        found = {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(urlsplit(url).path[1:])}
    elif scheme in {"postgres", "postgresql"}:
        found = _postgresql(f"postgresql://{rest}")
    else:
        raise ValueError("begins with sqlite://, postgres:// or postgresql://")
    if not found["NAME"] and "service" not in found.get("OPTIONS", {}):
        raise ValueError("names no database")
    return found


def _postgresql(url: str) -> dict[str, Any]:
    from psycopg import ProgrammingError, conninfo  # noqa: PLC0415 only some sites need the library

    try:
        options: dict[str, Any] = conninfo.conninfo_to_dict(url)
    except ProgrammingError as error:
        # libpq quotes what it cannot read, perhaps a password.
        fault = str(error).partition('"')[0].strip(" :\n")
        raise ValueError(f"can't be read: {fault}; {ESCAPES}") from None
    hosts = options.pop("host", "").split(",")
    ports = [port or "5432" for port in options.pop("port", "").split(",")]
    ports *= len(hosts) if len(ports) == 1 else 1
    is_number = all(port.isdecimal() and 0 < int(port) < 1 << 16 for port in ports)
    if len(ports) != len(hosts) or not is_number or any("@" in host for host in hosts):
        raise ValueError(f"has a host or port that can't be read: {ESCAPES}")
    if len(hosts) > 1:
        # In seconds, for each host. psycopg waits for at least two.
        options = {"target_session_attrs": "read-write", "connect_timeout": "2"} | options
    if options.get("target_session_attrs", "any") not in SESSIONS:
        raise ValueError(f"has target_session_attrs that are none of {', '.join(sorted(SESSIONS))}")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname", ""),
        "USER": options.pop("user", ""),
        "PASSWORD": options.pop("password", ""),
        "HOST": ",".join(hosts),
        "PORT": ",".join(ports),
        "OPTIONS": options,
    }

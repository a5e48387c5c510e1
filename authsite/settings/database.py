"""Settings of the database: SQLite, or the database that ``DATABASE_URL`` names."""

import os
from typing import Any

import dj_database_url

from authsite.settings.site import AUTHSITE

# How long a server waits for a lock. Clients get an answer within five seconds. Commands can wait
# longer.
LOCK_SECONDS = 4

_database: dict[str, Any] = dict(
    dj_database_url.parse(AUTHSITE.database_url, conn_max_age=600, conn_health_checks=True)
)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Otherwise a transaction that reads and then writes fails if another one writes between.
        "transaction_mode": "IMMEDIATE",
        "timeout": LOCK_SECONDS if os.environ.get("AUTHSITE_SERVES") else 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
# Servers have time limits, because clients wait for them. Migrations and commands have none.
elif os.environ.get("AUTHSITE_SERVES"):
    _database["ENGINE"] = "authsite.postgresql"
    _limits = {
        "lock_timeout": f"{LOCK_SECONDS}s",
        "statement_timeout": "4200ms",
        "idle_in_transaction_session_timeout": "15s",
    }
    # Options in the query string of the URL take precedence over these.
    _database["OPTIONS"] = {
        "connect_timeout": 3,
        "tcp_user_timeout": 4500,
        "options": " ".join(f"-c {name}={value}" for name, value in _limits.items()),
        **_database.get("OPTIONS", {}),
    }

DATABASES = {"default": _database}

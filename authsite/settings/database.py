"""The database: SQLite out of the box, PostgreSQL by ``DATABASE_URL``."""

from typing import Any

import dj_database_url

from authsite.settings.site import AUTHSITE

_database: dict[str, Any] = dict(
    dj_database_url.parse(AUTHSITE.database_url, conn_max_age=600, conn_health_checks=True)
)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # A transaction that reads first and writes later would fail against another writer.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

DATABASES = {"default": _database}

"""Settings of the database, of outgoing email and of the logs."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from accounts.common import database_url
from authsite.settings.site import AUTHSITE

_database: dict[str, Any] = database_url.parse(AUTHSITE.database_url) | {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    # Between transactions, PgBouncer gives the connection that has the cursor to others.
    "DISABLE_SERVER_SIDE_CURSORS": True,
}
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # Otherwise a transaction that reads and then writes fails if another one writes between.
        "transaction_mode": "IMMEDIATE",
        # Clients of a server get an answer within five seconds. Commands can wait longer.
        "timeout": 4 if os.environ.get("AUTHSITE_SERVES") else 20,
        # Overwrites most deleted values with zeros; ``accounts.deletion.erasure`` does the rest.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;"
        ),
    }
# Servers have time limits, because clients wait for them. Migrations and commands have none.
elif os.environ.get("AUTHSITE_SERVES"):
    _database["ENGINE"] = "authsite.postgresql"
    # Options of the URL take precedence over these.
    _database["OPTIONS"] = {"connect_timeout": 3, "tcp_user_timeout": 4500} | _database["OPTIONS"]

DATABASES = {"default": _database}


# The time limit for each step of an SMTP connection. After a timeout, the outbox tries again later.
TIMEOUT_SECONDS = 10


def mailer(email_url: str) -> dict[str, Any]:
    """Return the entry of ``MAILERS`` for the value of the setting ``EMAIL_URL``."""
    url = urlsplit(email_url)
    if url.scheme == "file":
        folder = url2pathname(url.path)
        return {"BACKEND": "accounts.mail.services.FileBackend", "OPTIONS": {"folder": folder}}
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": url.hostname or "localhost",
            "port": url.port or {"smtp": 587, "smtps": 465, "smtp+plain": 25}[url.scheme],
            "username": unquote(url.username or ""),
            "password": unquote(url.password or ""),
            "use_tls": url.scheme == "smtp",
            "use_ssl": url.scheme == "smtps",
            "timeout": TIMEOUT_SECONDS,
        },
    }


MAILERS = {"default": mailer(AUTHSITE.email_url)}
DEFAULT_FROM_EMAIL = AUTHSITE.mail_from


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "accounts.common.logs.Formatter", "development": AUTHSITE.development}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": AUTHSITE.lowest_log_level},
    "loggers": {
        # Django's own handlers would log each event twice, or send it by email.
        "django": {"handlers": [], "level": "NOTSET", "propagate": True},
        # Refused requests are already in the request log.
        "django.request": {"level": "ERROR"},
        # Likewise the requests that runserver logs.
        "django.server": {"handlers": [], "level": "CRITICAL"},
        # Otherwise anybody could fill the log with tracebacks, by wrong Host headers or by too many
        # parameters. The requests are in the request log, too.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.security.RequestDataTooBig": {"level": "CRITICAL"},
        "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
        "django.security.TooManyFilesSent": {"level": "CRITICAL"},
    },
}

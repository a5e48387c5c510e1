"""Django's settings, in the order in which a reader needs them.

The settings for operators are in ``accounts.common.config``. They are read and validated once, and
are ``settings.AUTHSITE`` from then on.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values

from accounts.common import database_url
from accounts.common.environment import ConfigError, read
from authsite import __version__

BASE_DIR = Path(__file__).resolve().parents[2]

# Other users of the machine cannot read the files that the site writes, such as the database.
os.umask(os.umask(0o077) | 0o007)

# ``manage.py`` and ``make run`` default to development, everything else to production.
_preferred = {"ENVIRONMENT": os.environ.get("ENVIRONMENT_DEFAULT", "production")}
_dotenv = {name: value or "" for name, value in dotenv_values(BASE_DIR / ".env").items()}
try:
    AUTHSITE = read({**_preferred, **_dotenv, **os.environ}, BASE_DIR, _dotenv)
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from None

VERSION = __version__
# False in development, too, because debug pages leak settings and variables.
DEBUG = False
SECRET_KEY = AUTHSITE.secret_key
SECRET_KEY_FALLBACKS = list(AUTHSITE.secret_key_fallbacks)
USE_TZ = True
TIME_ZONE = "UTC"

# The installed apps, and the middleware in the order in which requests pass it.

INSTALLED_APPS = [
    "accounts.apps.AdminSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "authsite.static.Files",
    "django.forms",
    # Installed for their translations and static files.
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "accounts.apps.AccountsConfig",
    "accounts.administration",
    "accounts.webhooks",
    *(["accounts.oauth"] if AUTHSITE.openid_provider == "on" else []),
]

MIDDLEWARE = [
    # Outermost, so that every request has an id and a log line.
    "authsite.serving.access_log.RequestMiddleware",
    # Adds headers to every response, including those of the middleware below.
    "authsite.middleware.HeadersMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "authsite.middleware.BodyMiddleware",
    # Finds the client's IP address and scheme.
    "authsite.middleware.ClientMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Before the middleware that refuses API calls, so that scripts can read the refusals.
    "corsheaders.middleware.CorsMiddleware",
    "authsite.middleware.PublicCorsMiddleware",
    "authsite.middleware.GateMiddleware",
    "authsite.middleware.CombinedMailsMiddleware",
    # API calls end here. The middleware below is for browsers.
    "authsite.middleware.ApiMiddleware",
    "authsite.static.Middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.sessions.current.AuthenticationMiddleware",
    # From here on, error pages are in the user's language.
    "authsite.middleware.LocaleMiddleware",
    # Every view requires sign-in unless it is marked as public.
    "accounts.sessions.current.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "authsite.middleware.PublicErrorMiddleware",
]

ROOT_URLCONF = "authsite.urls"
WSGI_APPLICATION = "authsite.wsgi.application"

# The database, outgoing email and the logs.

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

from authsite.settings.http import *  # noqa: E402, I001 the order is for readers
from authsite.settings.pages import *  # noqa: E402
from authsite.settings.api import *  # noqa: E402

"""Settings of outgoing email, which follow from ``EMAIL_URL``."""

from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from authsite.settings.site import AUTHSITE

# The time limit for each step of an SMTP connection. After a timeout, the outbox tries again later.
TIMEOUT_SECONDS = 10


def mailer(email_url: str) -> dict[str, Any]:
    """Return the entry of ``MAILERS`` for the value of the setting ``EMAIL_URL``."""
    url = urlsplit(email_url)
    if url.scheme == "file":
        folder = url2pathname(url.path)
        return {"BACKEND": "accounts.mail.backends.FileBackend", "OPTIONS": {"folder": folder}}
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

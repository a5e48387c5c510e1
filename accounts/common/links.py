"""Builds absolute URLs for emails, and checks that redirect targets belong to this site."""

from django.conf import settings
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def absolute(name: str, *args: object) -> str:
    """Return the absolute URL of the view ``name``, which begins with the setting ``ORIGIN``.

    The Host header of the request is not used, because a client can send any value.
    """
    return f"{settings.AUTHSITE.origin}{reverse(name, args=args)}"


def safe_next(value: str | None) -> str:
    """Return ``value`` if it is a safe redirect target, else "" (ASVS 3.7.2, CWE-601).

    Only a path of this site that begins with one slash is safe. ``//evil``, ``/\\evil``,
    ``https:evil``, ``javascript:`` and anything with control characters are not.
    """
    if not value or len(value) > 2000 or not value.isprintable() or not value.startswith("/"):
        return ""
    return value if url_has_allowed_host_and_scheme(value, allowed_hosts=None) else ""

"""Where a link may lead: out to a mail from ORIGIN only, back from a form to this site only."""

from django.conf import settings
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def absolute(name: str, *args: object) -> str:
    """The public address of a named page, built from ORIGIN and never from the request's Host."""
    return f"{settings.AUTHSITE.origin}{reverse(name, args=args)}"


def safe_next(value: str | None) -> str:
    """``value`` if it is a path of this site, else the empty string (ASVS 3.7.2, CWE-601).

    Only a path that begins with one slash passes: ``//evil``, ``/\\evil``, ``https:evil``,
    ``javascript:`` and anything with control characters do not.
    """
    if not value or len(value) > 2000 or not value.isprintable() or not value.startswith("/"):
        return ""
    return value if url_has_allowed_host_and_scheme(value, allowed_hosts=None) else ""

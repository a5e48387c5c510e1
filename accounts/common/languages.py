"""Selects languages: a page uses the language of its reader, an email that of its recipient."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone, translation

from accounts.common.time_zones import zone


def speaking(language: str) -> translation.override:
    """Return a context manager that activates ``language``, or ``LANGUAGE_CODE`` if it is empty."""
    return translation.override(language or settings.LANGUAGE_CODE)


@contextmanager
def writing_to(language: str, time_zone: str) -> Iterator[None]:
    """Return a context manager that activates the language and the time zone of a recipient."""
    with speaking(language), timezone.override(zone(time_zone)):
        yield


def spoken() -> str:
    """Return the active language. During a request, this is the language of the client."""
    return translation.get_language() or settings.LANGUAGE_CODE

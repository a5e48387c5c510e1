"""Selects languages: a page uses the language of its reader, an email that of its recipient."""

from django.conf import settings
from django.utils import translation


def speaking(language: str) -> translation.override:
    """Return a context manager that activates ``language``, or ``LANGUAGE_CODE`` if it is empty."""
    return translation.override(language or settings.LANGUAGE_CODE)


def spoken() -> str:
    """Return the active language. During a request, this is the language of the client."""
    return translation.get_language() or settings.LANGUAGE_CODE

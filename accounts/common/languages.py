"""The language of a text: a page uses its reader's, a mail its recipient's."""

from django.conf import settings
from django.utils import translation


def speaking(language: str) -> translation.override:
    """Return a context manager that activates ``language``, or the site's own if it is empty."""
    return translation.override(language or settings.LANGUAGE_CODE)


def spoken() -> str:
    """Return the active language, which during a request is the client's language."""
    return translation.get_language() or settings.LANGUAGE_CODE

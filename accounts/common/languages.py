"""In whose language a text is: a page's is its reader's, a mail's its recipient's."""

from django.conf import settings
from django.utils import translation


def speaking(language: str) -> translation.override:
    """A context whose texts are in ``language``; in the site's own where none is known."""
    return translation.override(language or settings.LANGUAGE_CODE)


def spoken() -> str:
    """The language of the texts of this moment: in a request, of who asks."""
    return translation.get_language() or settings.LANGUAGE_CODE

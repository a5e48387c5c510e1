"""Checks the texts of people's profiles, and converts them to the form in which they are stored."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.common.text import refuse_invisible

DISPLAY_NAME_LENGTH = 60
ABOUT_LENGTH = 500
# Letters and marks without a visible shape, and separators that break a line.
_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\uffa0")
# Newlines, and the joiners that Persian words and composed emoji need.
_ALLOWED = dict.fromkeys(map(ord, "\n\u200c\u200d"))


def canonical(value: str) -> str:
    """Return ``value`` in NFC and with LF as newline. Forms send CR and LF for each newline."""
    return unicodedata.normalize("NFC", value).replace("\r\n", "\n").replace("\r", "\n")


def refuse_blank(value: str) -> None:
    """Refuse a name that contains characters without a visible shape.

    Raises:
        ValidationError: ``value`` contains an invisible or control character.
    """
    refuse_invisible(value)
    if _BLANK & set(value):
        raise ValidationError(_("Remove any invisible or control characters."), code="invisible")


def refuse_controls(value: str) -> None:
    """Refuse text with invisible characters, or with control characters other than newlines.

    Raises:
        ValidationError: ``value`` contains such a character.
    """
    refuse_invisible(value.translate(_ALLOWED))

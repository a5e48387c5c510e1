"""What people say of themselves: which texts are taken, and in which form they are stored."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.common.text import refuse_invisible

DISPLAY_NAME_LENGTH = 60
ABOUT_LENGTH = 500
# Letters and marks that show nothing, and separators that break a line: a name of these is blank.
_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\uffa0")
# Newlines, and the joiners without which Persian words and emoji of families fall apart.
_ALLOWED = dict.fromkeys(map(ord, "\n\u200c\u200d"))


def canonical(value: str) -> str:
    """The text as it is stored: NFC, one character for a newline (forms send two)."""
    return unicodedata.normalize("NFC", value).replace("\r\n", "\n").replace("\r", "\n")


def refuse_blank(value: str) -> None:
    """``ValidationError`` for characters of a name that can't be seen."""
    refuse_invisible(value)
    if _BLANK & set(value):
        raise ValidationError(_("Remove invisible or control characters."), code="invisible")


def refuse_controls(value: str) -> None:
    """``ValidationError`` for control characters other than newlines, and for invisible ones."""
    refuse_invisible(value.translate(_ALLOWED))

"""Usernames: which are allowed, and which belong together.

1 to 30 letters, digits and ``._-``, never ``@`` (or a name could pose as an address). Stored in
NFKC, compared folded. Letters of more than one of Latin, Greek and Cyrillic in one name are
refused: they exist to look like somebody else's (UTS 39, mixed-script confusables).
"""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.kernel.text import fold, refuse_invisible

MAX_LENGTH = 30
# Folding may lengthen: the worst letters become three.
KEY_LENGTH = 3 * MAX_LENGTH
# Left for what makes a suggested name another: a hyphen and six digits.
SUFFIX_LENGTH = 7
_LOOKALIKES = {"LATIN", "GREEK", "CYRILLIC"}


def clean(value: str) -> str:
    """The name as it is stored; ``ValidationError`` with the reason if it can't be one."""
    refuse_invisible(value)
    name = unicodedata.normalize("NFKC", value)
    if not 1 <= len(name) <= MAX_LENGTH:
        raise ValidationError(_("Use 1 to 30 characters."), code="length")
    if not all(_belongs(character) for character in name) or _is_mark(name[0]):
        raise ValidationError(
            _("Use letters, digits, dots, hyphens and underscores only."), code="characters"
        )
    if len(_alphabets(name)) > 1:
        raise ValidationError(_("Use letters of one alphabet."), code="alphabets")
    return name


def key(name: str) -> str:
    """The canonical form that is unique in the database."""
    return fold(name)


def suggest(text: str) -> str:
    """A name made of what somebody is called elsewhere; empty if nothing is left of it."""
    # Of an address, what is before the @.
    folded = unicodedata.normalize("NFKC", text.partition("@")[0])
    plain = "".join(c for c in folded if c.isascii())
    for words in (folded.split(), plain.split()):
        # A word of emoji leaves nothing, and no hyphen either.
        kept = filter(None, ("".join(filter(_belongs, word)) for word in words))
        try:
            return clean("-".join(kept)[: MAX_LENGTH - SUFFIX_LENGTH])
        except ValidationError:
            continue
    return ""


def _belongs(character: str) -> bool:
    return character.isalnum() or character in "._-" or _is_mark(character)


def _is_mark(character: str) -> bool:
    """A vowel sign or the like of one script; those for any script ("combining") can disguise."""
    is_mark = unicodedata.category(character) in {"Mn", "Mc"}
    return is_mark and not unicodedata.name(character, "").startswith("COMBINING")


def _alphabets(name: str) -> set[str]:
    words = {unicodedata.name(character, "").partition(" ")[0] for character in name}
    return words & _LOOKALIKES

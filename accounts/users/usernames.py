"""Usernames: which are allowed, and which belong together.

1 to 30 letters, digits and ``._-``, never ``@`` (or a name could pose as an email address). Stored
in NFKC, compared folded. Names that could pass for another are refused as UTS 39 says.
"""

import unicodedata
from functools import cache
from itertools import chain

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.common.text import fold, refuse_invisible
from accounts.users import uts39

MAX_LENGTH = 30
# Folding may lengthen: the worst letters become three.
KEY_LENGTH = 3 * MAX_LENGTH
# In a skeleton the worst letters become six.
SKELETON_LENGTH = 6 * MAX_LENGTH
# Left for what makes a suggested name another: a hyphen and six digits.
SUFFIX_LENGTH = 7
# People take them for the site's own; RFC 2142 has most of the mailboxes.
RESERVED = (
    "abuse account accounts admin administrator administrators anonymous api authsite billing "
    "contact daemon ftp help helpdesk hostmaster info legal login logout mail mailer-daemon "
    "moderator moderators no-reply nobody noc noreply null official operator owner postmaster "
    "privacy root sales security service signup staff superuser support sysadmin sysop system "
    "undefined usenet uucp webmaster www"
)


def clean(value: str, *, by_operator: bool = False) -> str:
    """Return the name as it is stored. Operators may give reserved names.

    Raises:
        ValidationError: it can't be a name; the message says why.
    """
    refuse_invisible(value)
    name = unicodedata.normalize("NFKC", value)
    if not 1 <= len(name) <= MAX_LENGTH:
        raise ValidationError(_("Use 1 to 30 characters."), code="length")
    if uts39.has_ignorable(name):
        raise ValidationError(_("Remove invisible or control characters."), code="invisible")
    if not all(_belongs(character) for character in name) or _is_mark(name[0]):
        raise ValidationError(
            _("Use letters, digits, dots, hyphens and underscores only."), code="characters"
        )
    if uts39.is_mixed(name):
        raise ValidationError(
            _("Use letters and digits of one script. Don’t mix Latin and Cyrillic, for example."),
            code="scripts",
        )
    if uts39.is_stacked(name):
        raise ValidationError(_("Use fewer accents or marks on one letter."), code="marks")
    if not by_operator and is_reserved(name):
        raise ValidationError(_("That username is reserved. Choose another."), code="reserved")
    return name


def key(name: str) -> str:
    """The canonical form that is unique in the database."""
    return fold(name)


def skeletons(name: str) -> set[str]:
    """Return what names that could pass for ``name`` share with it: as written, and in lower case.

    ``paypaI`` looks like ``paypal`` as written, though its key is ``paypai``; a Cyrillic twin of
    ``ice`` looks like ``Ice`` in lower case only.
    """
    return {fold(uts39.skeleton(name)), fold(uts39.skeleton(key(name)))}


def is_reserved(name: str) -> bool:
    """Whether the name looks like a reserved one, or has no letter and no digit."""
    reserved = _skeletons_of(settings.AUTHSITE.reserved_usernames)
    return not any(map(str.isalnum, name)) or not reserved.isdisjoint(skeletons(name))


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
    is_known = character.isalnum() or character in "._-" or _is_mark(character)
    return is_known and uts39.is_allowed(character)


def _is_mark(character: str) -> bool:
    """A vowel sign or the like of one script; those for any script ("combining") can disguise."""
    is_mark = unicodedata.category(character) in {"Mn", "Mc"}
    return is_mark and not unicodedata.name(character, "").startswith("COMBINING")


@cache
def _skeletons_of(more: tuple[str, ...]) -> frozenset[str]:
    words = {word.lower() for word in (*RESERVED.split(), *more)}
    # A capital I looks like the 1 of "adm1n".
    cases = (str.lower, str.upper, str.capitalize, lambda word: word.replace("i", "I"))
    return frozenset(chain.from_iterable(skeletons(case(w)) for case in cases for w in words))

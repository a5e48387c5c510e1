"""Rules for usernames: which are allowed, which count as equal, and which look alike.

A username has 1 to 30 letters, digits and ``._-``. It contains no ``@``, so that it cannot pose as
an email address. It is stored in NFKC and compared casefolded. Names that could pass for another
name are refused by the rules of UTS 39 (Unicode Security Mechanisms), whose tables
``tests/support/uts39_tables.py`` generates.
"""

import json
import re
import unicodedata
from bisect import bisect
from functools import cache
from itertools import chain
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.common.text import fold, refuse_invisible

TABLES = Path(__file__).with_name("uts39.json")
# The scripts that may be mixed with Latin in a "highly restrictive" name (UTS 39 section 5.2).
_MIXABLE_WITH_LATIN = ("Jpan", "Hanb", "Kore")
# The maximum number of marks after one letter (UTS 39 section 5.4).
_MARKS = 4


class _Tables:
    """The Unicode tables, which are read at their first use, because reading them takes long."""

    def __init__(self) -> None:
        data = json.loads(TABLES.read_text())
        allowed = [line.split() for line in data["allowed"]]
        self.starts = [int(first, 16) for first, *_rest in allowed]
        self.ends = [int(last, 16) for _first, last, *_scripts in allowed]
        self.scripts = [frozenset(scripts) for _first, _last, *scripts in allowed]
        ranges = (line.split() for line in data["ignorable"])
        spans = "".join(f"\\U{first:0>8}-\\U{last:0>8}" for first, last in ranges)
        self.ignorable = re.compile(f"[{spans}]")
        self.prototypes = str.maketrans(data["confusables"])

    def index(self, character: str) -> int | None:
        """Return the index of the range with the character; None if it is not allowed.

        The result is None if the character is not allowed.
        """
        at = bisect(self.starts, ord(character)) - 1
        return at if at >= 0 and ord(character) <= self.ends[at] else None


_tables = cache(_Tables)


def is_allowed(character: str) -> bool:
    """Return whether the Identifier_Status of ``character`` is Allowed."""
    return _tables().index(character) is not None


def has_ignorable(text: str) -> bool:
    """Return whether ``text`` has a Default_Ignorable_Code_Point, which is invisible."""
    return _tables().ignorable.search(text) is not None


def is_mixed(text: str) -> bool:
    """Return whether ``text`` mixes more scripts than the level "highly restrictive" permits.

    Digits of more than one number system count as mixed scripts, too (UTS 39 section 5.3).
    """
    tables = _tables()
    indexes = {index for c in text if (index := tables.index(c)) is not None}
    sets = [scripts for index in indexes if (scripts := tables.scripts[index])]
    is_single = not sets or bool(frozenset.intersection(*sets))
    fits = is_single or any(all(s & {"Latn", other} for s in sets) for other in _MIXABLE_WITH_LATIN)
    zeros = {ord(c) - unicodedata.decimal(c) for c in text if c.isdecimal()}
    return not fits or len(zeros) > 1


def is_stacked(text: str) -> bool:
    """Return whether a letter in ``text`` has more than four marks, or the same mark twice."""
    run: list[str] = []
    for character in unicodedata.normalize("NFD", text):
        run = [*run, character] if unicodedata.category(character) in {"Mn", "Me"} else []
        if len(run) > _MARKS or len(set(run)) < len(run):
            return True
    return False


def skeleton(text: str) -> str:
    """Return the skeleton of ``text``, which all look-alike texts share (UTS 39 section 4)."""
    visible = _tables().ignorable.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", visible.translate(_tables().prototypes))


MAX_LENGTH = 30
# Casefolding may replace one letter with three letters.
KEY_LENGTH = 3 * MAX_LENGTH
# A skeleton may have six letters for each letter of the name.
SKELETON_LENGTH = 6 * MAX_LENGTH
# Suggested names are shorter by this length, so that a hyphen and six digits can be appended.
SUFFIX_LENGTH = 7
# Names that people would take for an account of the site itself. Most mailbox names are from RFC
# 2142.
RESERVED = (
    "abuse account accounts admin administrator administrators anonymous api authsite billing "
    "contact daemon ftp help helpdesk hostmaster info legal login logout mail mailer-daemon "
    "moderator moderators no-reply nobody noc noreply null official operator owner postmaster "
    "privacy root sales security service signup staff superuser support sysadmin sysop system "
    "undefined usenet uucp webmaster www"
)


def clean(value: str, *, by_operator: bool = False) -> str:
    """Return the username ``value`` in its stored form.

    Reserved usernames are allowed only if ``by_operator`` is True.

    Raises:
        ValidationError: the username is not allowed; the message says why.
    """
    refuse_invisible(value)
    name = unicodedata.normalize("NFKC", value)
    if not 1 <= len(name) <= MAX_LENGTH:
        raise ValidationError(_("Use 1 to 30 characters."), code="length")
    if has_ignorable(name):
        raise ValidationError(_("Remove any invisible or control characters."), code="invisible")
    if not all(_is_allowed(character) for character in name) or _is_mark(name[0]):
        raise ValidationError(
            _("Use letters, digits, dots, hyphens and underscores only."), code="characters"
        )
    if is_mixed(name):
        raise ValidationError(
            _(
                "Use letters and digits from one script only. For example, don’t mix Latin and "
                "Cyrillic."
            ),
            code="scripts",
        )
    if is_stacked(name):
        raise ValidationError(_("Use fewer accents or marks on a single letter."), code="marks")
    if not by_operator and is_reserved(name):
        raise ValidationError(_("That username is reserved. Choose another one."), code="reserved")
    return name


def key(name: str) -> str:
    """Return the canonical form of a username, which is unique in the database."""
    return fold(name)


def skeletons(name: str) -> set[str]:
    """Return the skeletons of ``name``. Names that look alike have at least one in common.

    The first skeleton is computed from the name as written: ``paypaI`` with a capital I looks like
    ``paypal``, although its key is ``paypai``. The second one is computed from the lowercase form:
    Cyrillic letters can look like ``ice``, but not like ``Ice``.
    """
    return {fold(skeleton(name)), fold(skeleton(key(name)))}


def is_reserved(name: str) -> bool:
    """Return whether ``name`` looks like a reserved username, or has neither letters nor digits."""
    reserved = _skeletons_of(settings.AUTHSITE.reserved_usernames)
    return not any(map(str.isalnum, name)) or not reserved.isdisjoint(skeletons(name))


def suggest(text: str) -> str:
    """Return an allowed username made from ``text``, such as a person's name at another site.

    Only the part of an email address before the @ is used. The result is an empty string if no
    allowed username can be made.
    """
    folded = unicodedata.normalize("NFKC", text.partition("@")[0])
    plain = "".join(c for c in folded if c.isascii())
    for words in (folded.split(), plain.split()):
        # A word without allowed characters, such as an emoji, is left out together with its hyphen.
        parts = filter(None, ("".join(filter(_is_allowed, word)) for word in words))
        try:
            return clean("-".join(parts)[: MAX_LENGTH - SUFFIX_LENGTH])
        except ValidationError:
            continue
    return ""


def _is_allowed(character: str) -> bool:
    is_known = character.isalnum() or character in "._-" or _is_mark(character)
    return is_known and is_allowed(character)


def _is_mark(character: str) -> bool:
    # A mark of one script, such as a vowel sign. Marks whose name begins with "COMBINING" fit
    # letters of every script and could disguise them.
    is_mark = unicodedata.category(character) in {"Mn", "Mc"}
    return is_mark and not unicodedata.name(character, "").startswith("COMBINING")


@cache
def _skeletons_of(more: tuple[str, ...]) -> frozenset[str]:
    words = {word.lower() for word in (*RESERVED.split(), *more)}
    # A capital I and the digit in "adm1n" look alike.
    cases = (str.lower, str.upper, str.capitalize, lambda word: word.replace("i", "I"))
    return frozenset(chain.from_iterable(skeletons(case(w)) for case in cases for w in words))

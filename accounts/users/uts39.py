"""Checks the characters of usernames, and computes skeletons that look-alike names share.

The rules are those of UTS 39 (Unicode Security Mechanisms). ``authsite/uts39.py`` generates the
tables.
"""

import json
import re
import unicodedata
from bisect import bisect
from functools import cache
from pathlib import Path

TABLES = Path(__file__).with_name("uts39.json")
# The scripts that may be mixed with Latin in a "highly restrictive" name (UTS 39 section 5.2).
_BESIDE_LATIN = ("Jpan", "Hanb", "Kore")
# The most marks that may follow one letter (UTS 39 section 5.4).
_MARKS = 4


class _Tables:
    """The Unicode tables, read on first use because reading them takes long."""

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
        """Return the index of the range of allowed characters that contains ``character``.

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
    fits = is_single or any(all(s & {"Latn", other} for s in sets) for other in _BESIDE_LATIN)
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

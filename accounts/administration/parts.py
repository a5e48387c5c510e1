"""Finds rows by a part of a text, and despite one typing error.

On PostgreSQL, an index of the trigrams of a text serves these searches: see
``docs/decisions/0036-search.md``. Other databases read all rows.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, QuerySet, TextField, Value

# A shorter part has no trigram, so no index finds it.
SHORTEST = 3
# How many letters of a search are ignored at a time to find rows that differ by one error.
GAP = 4
# The time to look for an error grows with the square of the length.
LONGEST = 64
# How many rows are compared with a search.
MOST_COMPARED = 2000


def _words(*fields: str) -> Func:
    return Func(
        *fields,
        template="LOWER(%(expressions)s)",
        arg_joiner=" || ' ' || ",
        output_field=TextField(),
    )


# The names of a user, in the words of the index ``users_by_trigram``.
NAMES = _words("username_key", "display_name", "given_name", "family_name")
# The key of an email address has the index ``emails_by_trigram``.
KEY = F("key")
# Few sign-ups are pending, so that they need no index.
SIGNUP = _words("username_key", "email_key")


def containing(rows: QuerySet[Any], text: Func | F, *parts: str) -> QuerySet[Any]:
    """Return the rows whose ``text`` contains all ``parts``. One of them has three letters or more.

    PostgreSQL reads all rows if ``text`` has no index of its trigrams.
    """
    rows = rows.alias(searched=text)
    for part in parts:
        if connection.vendor == "postgresql" and len(part) >= SHORTEST:
            rows = rows.filter(_shares_trigrams(text, part))
        rows = rows.filter(searched__contains=part)
    return rows


def similar(rows: QuerySet[Any], text: Func | F, wanted: str, pk: str) -> set[Any]:
    """Return the values of ``pk`` of the rows whose ``text`` contains ``wanted`` with one error.

    The error is a letter too many, a missing letter, another letter, or two letters in the wrong
    order. Of a short ``wanted``, only errors beside a trigram are found.
    """
    if len(wanted) > LONGEST:
        return set()
    pattern = re.compile("|".join(_with_one_error(wanted)), re.DOTALL)
    candidates = [
        containing(rows, text, *parts).order_by().values_list(pk, text)
        for parts in _around_gaps(wanted)
    ]
    if not candidates:
        return set()
    compared = candidates[0].union(*candidates[1:], all=True)[:MOST_COMPARED]
    return {key for key, value in compared if pattern.search(value)}


def _shares_trigrams(text: Func | F, part: str) -> Func:
    trigrams = (Func(each, function="accounts_trigrams") for each in (text, Value(part)))
    return Func(
        *trigrams, template="%(expressions)s", arg_joiner=" @> ", output_field=BooleanField()
    )


def _around_gaps(wanted: str) -> Iterator[list[str]]:
    """Return the parts before and after each gap. Each error lies in one of the gaps.

    The gaps overlap by one letter, because two letters in the wrong order must be in one gap.
    """
    for start in range(0, len(wanted), GAP - 1):
        parts = [wanted[:start], wanted[start + GAP :]]
        if max(map(len, parts)) >= SHORTEST:
            yield [part for part in parts if part]


def _with_one_error(wanted: str) -> Iterator[str]:
    """Return regular expressions of what differs from ``wanted`` by one error."""
    for place, letter in enumerate(wanted):
        before, after = re.escape(wanted[:place]), wanted[place + 1 :]
        yield f"{before}.?{re.escape(after)}"
        yield f"{before}.{re.escape(letter + after)}"
        yield f"{before}{re.escape(after[:1] + letter + after[1:])}"

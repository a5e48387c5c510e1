"""Replaces all sealed hashes, for the commands ``rehash`` and ``reencrypt``."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

from django.db.models import Q

from accounts.common.database import read_in_batches
from accounts.passwords.foreign import SEALED
from accounts.users.models import LOCKED, FormerCredential, User

PORTION = 200
_IS_SEALED = Q(password__startswith=SEALED) | Q(password__startswith=LOCKED + SEALED)


class Outcome(NamedTuple):
    """How many hashes were changed, and which rows could not be read."""

    changed: int
    lost: list[str]


class _Row(NamedTuple):
    """A stored hash. ``save`` replaces it if it is unchanged, and returns the number of rows."""

    name: str
    encoded: str
    save: Callable[[str], int]


def rewrite(
    change: Callable[[str], str | None], progress: Callable[[int], object] = bool
) -> Outcome:
    """Replace each sealed hash by what ``change`` returns for it; None changes nothing.

    Each row is saved at once, so the work may be stopped at any time and begun again. A hash that a
    sign-in renews meanwhile stays as it is.

    ``change``: called in several threads. It raises ``ValueError`` if it cannot read the hash.
    ``progress``: called after each portion with the number of hashes that were changed so far.
    """
    changed, lost = 0, []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for portion in chain(_of_users(), _of_former()):
            for row, new in zip(portion, threads.map(_attempt(change), portion), strict=True):
                if isinstance(new, ValueError):
                    lost.append(row.name)
                elif new is not None:
                    changed += row.save(new)
            progress(changed)
    return Outcome(changed, lost)


def _attempt(change: Callable[[str], str | None]) -> Callable[[_Row], str | ValueError | None]:
    def attempt(row: _Row) -> str | ValueError | None:
        try:
            return change(row.encoded)
        except ValueError as error:
            return error

    return attempt


def _of_users() -> Iterator[list[_Row]]:
    rows = User.objects.filter(_IS_SEALED).values_list("pk", "password")
    for batch in read_in_batches(rows, PORTION):
        yield [_user(pk, password) for pk, password in batch]


def _user(pk: Any, password: str) -> _Row:
    encoded = password.removeprefix(LOCKED)
    mark = password.removesuffix(encoded)
    same = User.objects.filter(pk=pk, password=password)
    return _Row(f"user {pk}", encoded, lambda new: same.update(password=mark + new))


def _of_former() -> Iterator[list[_Row]]:
    passwords = FormerCredential.objects.filter(kind=FormerCredential.Kind.PASSWORD)
    rows = passwords.filter(data__hash__startswith=SEALED).values_list("pk", "data")
    for batch in read_in_batches(rows, PORTION):
        yield [_former(pk, data["hash"]) for pk, data in batch]


def _former(pk: int, encoded: str) -> _Row:
    row = FormerCredential.objects.filter(pk=pk)
    return _Row(f"former password {pk}", encoded, lambda new: row.update(data={"hash": new}))

"""Chooses the cost of the password hash for logins without an account.

Hashes of other systems take longer or shorter than those of this site. Therefore a login without an
account costs as much as the hash of some member, in the proportions in which the hashes of this
site occur. The choice is an HMAC of the login: repeated attempts cost the same, and nobody can
calculate it.

A member's hash only ever changes to the newest kind, at a sign-in. The choice for a login without
an account behaves in the same way: it belongs to a kind, and changes at the rate at which members
change. ``docs/decisions/0033-foreign-hashes.md`` says what an observer can still learn.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from accounts.common import secrets
from accounts.common.database import read_in_batches
from accounts.passwords.foreign import Foreign, Sealed, Wrapped
from accounts.passwords.hashers import Argon2id
from accounts.passwords.models import HashKind
from accounts.passwords.notations import parse
from accounts.passwords.schemes import ForeignHash
from accounts.users.models import LOCKED, User, hasher_of

REFRESH_SECONDS = 60.0
BATCH = 5000
# The limit is for a hostile import, in which each account may have another cost.
MOST_KINDS = 1000
OWN = ("", "argon2")
_HASHERS = {kind.algorithm: kind() for kind in (Foreign, Sealed, Wrapped)}


class _Kind(NamedTuple):
    """A kind of hash: a hash of the same cost, and the share of its accounts that still have it."""

    dummy: str
    left: float


class Mix(NamedTuple):
    """The kinds of hashes of this site.

    ``foreign``: the share of accounts that have, or once had, a hash of another kind than new
        hashes.
    ``ends``: the cumulative numbers of accounts that had a hash of each kind.
    """

    foreign: float = 0.0
    ends: Sequence[int] = ()
    kinds: Sequence[_Kind] = ()

    def choose(self, login: str) -> str | None:
        """Return a hash with the cost that is chosen for ``login``; None for the cost of new ones.

        The three parts of the HMAC are independent. They decide whether the login had a hash of
        another kind, which kind, and whether it still has this hash.
        """
        mac = secrets.macs(login, "cost of a login")[0]
        is_foreign, which, is_left = (
            int.from_bytes(mac[at : at + 6]) / (1 << 48) for at in (0, 6, 12)
        )
        if is_foreign >= self.foreign:
            return None
        kind = self.kinds[bisect_right(self.ends, which * self.ends[-1])]
        return kind.dummy if is_left < kind.left else None


_mix = Mix()


def dummy_hash(login: str) -> str:
    """Return a hash that no password matches, with the cost that is chosen for ``login``."""
    return (_mix.foreign and _mix.choose(login)) or Argon2id().dummy_hash()


def refresh() -> float:
    """Read the kinds of hashes that :func:`store` has stored; return when to read them again."""
    global _mix  # noqa: PLW0603 one snapshot, replaced as a whole
    rows = list(HashKind.objects.filter(most__gt=0).order_by("pk"))
    dummies = {
        row.blank: _HASHERS[row.form].dummy(row.blank) for row in rows if row.form in _HASHERS
    }
    # Another release may have stored a kind that this one cannot read.
    foreign = [row for row in rows if hasher_of(dummies.get(row.blank, ""))]
    ends = list(accumulate(row.most for row in foreign))
    if not ends:
        _mix = Mix()
        return REFRESH_SECONDS
    everybody = sum(row.left for row in rows)
    kinds = [_Kind(dummies[row.blank], row.left / row.most) for row in foreign]
    _mix = Mix(min(1.0, ends[-1] / max(everybody, 1)), ends, kinds)
    return REFRESH_SECONDS


def store() -> None:
    """Count the kinds of hashes of all accounts, for :func:`refresh`.

    The daily job calls this, and so does every command that changes many hashes.
    """
    counts = _counted()
    before = {row.blank: row.most for row in HashKind.objects.all()}
    forms = {blank: form for (blank, form), _ in reversed(counts.most_common())}
    left = Counter[str]()
    for (blank, _form), number in counts.items():
        left[blank] += number
    if not any(left):
        HashKind.objects.all().delete()
        return
    HashKind.objects.filter(blank__in=before.keys() - left.keys()).update(left=0)
    HashKind.objects.bulk_create(
        [
            HashKind(
                blank=blank, form=forms[blank], left=number, most=max(number, before.get(blank, 0))
            )
            for blank, number in left.most_common(MOST_KINDS)
        ],
        update_conflicts=True,
        unique_fields=["blank"],
        update_fields=["form", "left", "most"],
    )


def weak() -> int:
    """Return the number of accounts with a weak hash, which ``rehash`` wraps, at the last count."""
    rows = HashKind.objects.filter(form=Sealed.algorithm, left__gt=0)
    return sum(row.left for row in rows if ForeignHash.read(row.blank).is_weak)


def _counted() -> Counter[tuple[str, str]]:
    """Return the number of accounts by blank hash and form."""
    # The database recognizes most hashes.
    new = Argon2id().dummy_hash().rsplit("$", 2)[0]
    counts = Counter({OWN: User.objects.filter(password__startswith=new).count()})
    others = User.objects.exclude(password__startswith=new).values_list("pk", "password")
    for batch in read_in_batches(others, BATCH):
        kinds = (_kind_of(password.removeprefix(LOCKED)) for _pk, password in batch)
        counts.update(filter(None, kinds))
    return counts


def _kind_of(encoded: str) -> tuple[str, str] | None:
    """Return the blank hash and the form of ``encoded``, or None if no password can match."""
    hasher = hasher_of(encoded)
    if hasher is None:
        return None
    if isinstance(hasher, Foreign):
        return hasher.kind(encoded)
    if not hasher.must_update(encoded):
        return OWN
    # An Argon2 hash with other parameters than new ones.
    return str(parse(encoded).blank), Foreign.algorithm

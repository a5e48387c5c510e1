"""The rule about disputes: which proofs of ownership count, and what they allow together.

A dispute is about opening a locked account, undoing what was done before the lock, or removing
lost second factors. There the request itself is the disputed change. A proof counts if the account
held it seven days before the disputed change, or was made with it. Age is measured at the change,
so a thief gains nothing by waiting. A proof without a date, from before dates were stored, counts.

================================  ========================================================
Older proofs shown                Outcome
================================  ========================================================
a second factor and one more,     at once
or any three
two, no second factor among them  at once if the account holds no second factor (suspended
                                  ones count as held), else after the waiting period
one                               after the waiting period, unless somebody who shows two
                                  objects
================================  ========================================================

A removed email address counts only beside another older proof. A tie keeps things as they are; a
second factor outweighs any number of other proofs. The waiting period is ``FACTOR_RECOVERY_HOURS``.
"""

from collections.abc import Set
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from accounts.users.models import User

# How long an account must have held a proof before the disputed change.
ESTABLISHED = timedelta(days=7)
# How long a change can be disputed, and what it replaced is kept for that.
DISPUTABLE = timedelta(days=30)
# Making an account and confirming its first email address are one act.
AT_ONCE = timedelta(minutes=1)


class Evidence(StrEnum):
    """A proof of ownership that counts in a dispute."""

    PASSWORD = "password"  # noqa: S105 the name of a kind of proof
    EMAIL = "email"
    REMOVED_EMAIL = "removed_email"
    # Of an account that had no email address: it stands in for the mailbox.
    PROVIDER = "provider"
    BROWSER = "browser"
    FACTOR = "factor"


class OlderProof(NamedTuple):
    """A proof that was shown, and since when the account has held it.

    ``key`` tells it from others of its kind; an empty one stands for any of them.
    """

    kind: Evidence
    key: str = ""
    since: datetime | None = None


type Shown = frozenset[OlderProof]


class Outcome(Enum):
    """What the evidence allows: see the table of the module."""

    AT_ONCE = "at_once"
    AFTER_WAITING = "after_waiting"
    REFUSED = "refused"


def baseline(user: "User", disputed_at: datetime) -> datetime:
    """Return the moment since which the account must hold a proof for it to count.

    In an account that is younger than a week, only what it was made with counts.
    """
    return max(user.date_joined + AT_ONCE, disputed_at - ESTABLISHED)


def counts(user: "User", since: datetime | None, disputed_at: datetime) -> bool:
    """Return whether a proof that ``user`` has held since ``since`` is old enough to count."""
    return since is None or since <= baseline(user, disputed_at)


def kinds(shown: Shown) -> frozenset[Evidence]:
    """Return the kinds of proofs; two of one kind, such as two addresses, are one."""
    return frozenset(proof.kind for proof in shown)


def decide(shown: Set[Evidence], *, holds_factor: bool) -> Outcome:
    """Return what somebody who shows this evidence may do.

    Args:
        shown: the proofs that count.
        holds_factor: whether the account holds a second factor, suspended or not.
    """
    number = _count(shown)
    if number >= 3 or (number == 2 and (Evidence.FACTOR in shown or not holds_factor)):
        return Outcome.AT_ONCE
    return Outcome.AFTER_WAITING if number else Outcome.REFUSED


def stops(objection: Set[Evidence], request: Set[Evidence]) -> bool:
    """Return whether ``objection`` stops a waiting request that showed ``request``.

    As much evidence as the request showed stops it, but at least two proofs. Only a second factor
    against a request without one is enough by itself.
    """
    with_factor = (Evidence.FACTOR in objection, Evidence.FACTOR in request)
    if with_factor[0] != with_factor[1]:
        return with_factor[0]
    return _count(objection) >= max(2, _count(request))


def covers(shown: Shown, request: Shown) -> bool:
    """Return whether these proofs include those that the waiting request was made with.

    Otherwise a thief with another proof, such as a second address of the account, could use the
    owner's request, to which the owner doesn't object.
    """
    return bool(_count(kinds(shown))) and all(_has(shown, proof) for proof in request)


def _has(shown: Shown, wanted: OlderProof) -> bool:
    # A removed address may have been put back meanwhile.
    fitting = {wanted.kind} | ({Evidence.EMAIL} if wanted.kind is Evidence.REMOVED_EMAIL else set())
    return any(proof.kind in fitting and wanted.key in {"", proof.key} for proof in shown)


def _count(shown: Set[Evidence]) -> int:
    # A removed address adds nothing to a current one, and does not count alone.
    others = shown - {Evidence.REMOVED_EMAIL}
    has_removed = Evidence.REMOVED_EMAIL in shown and Evidence.EMAIL not in shown
    return len(others) + (has_removed and bool(others))

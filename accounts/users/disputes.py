"""Decides disputes about the ownership of an account by the proofs that a person shows.

A dispute arises when a person asks to unlock an account, to undo changes from before the lock, or
to remove lost second factors. In the last case, the request itself is the disputed change. A proof
counts if the account already held it seven days before the disputed change, or if it is as old as
the account. The age of a proof is measured at the time of the change, so that a thief gains nothing
by waiting. A proof without a stored date counts.

================================  ========================================================
Proofs that count                 Outcome
================================  ========================================================
a second factor and one other,    granted immediately
or any three proofs
any other two proofs              granted immediately if the account has no second factor, not
                                  even a suspended one; else after the waiting period
one                               granted after the waiting period, unless a person who shows
                                  two proofs objects
================================  ========================================================

A removed email address counts only together with a proof of another kind, and not in addition to a
current email address. If a request and an objection show equal evidence, the objection wins. A
second factor outweighs any number of other proofs. The setting ``FACTOR_RECOVERY_HOURS`` is the
length of the waiting period.
"""

from collections.abc import Set
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from accounts.users.models import User

# How long an account must have held a proof before the disputed change.
ESTABLISHED = timedelta(days=7)
# How long a change can be disputed. Credentials that the change replaced are stored for that time.
DISPUTABLE = timedelta(days=30)
# A proof that is added within this time after an account was created counts as old as the account.
AT_ONCE = timedelta(minutes=1)


class Evidence(StrEnum):
    """The kinds of proofs that count when two people claim the same account."""

    PASSWORD = "password"  # noqa: S105 the name of a kind of proof
    EMAIL = "email"
    REMOVED_EMAIL = "removed_email"
    # An external identity. It counts only if the account had no email address.
    PROVIDER = "provider"
    BROWSER = "browser"
    FACTOR = "factor"


class OwnershipEvidence(NamedTuple):
    """A proof of ownership that was shown in a dispute and is old enough to count.

    ``key`` distinguishes proofs of the same kind.
    ``since`` is the time at which the account got the proof, or None if the time is unknown.
    """

    kind: Evidence
    key: str = ""
    since: datetime | None = None


type Shown = frozenset[OwnershipEvidence]


class Outcome(Enum):
    """The outcome of a request in a dispute: granted now, granted after waiting, or refused."""

    AT_ONCE = "at_once"
    AFTER_WAITING = "after_waiting"
    REFUSED = "refused"


def baseline(user: "User", disputed_at: datetime) -> datetime:
    """Return the time that decides whether a proof counts in the dispute.

    A proof, such as a passkey or an email address, counts if the account had it before this time:
    seven days before the disputed change. If the account is younger than that, the time is one
    minute after the account was created.

    Args:
        user: the account.
        disputed_at: the time of the disputed change.
    """
    return max(user.date_joined + AT_ONCE, disputed_at - ESTABLISHED)


def counts(user: "User", since: datetime | None, disputed_at: datetime) -> bool:
    """Return whether a proof that ``user`` has held since ``since`` is old enough to count."""
    return since is None or since <= baseline(user, disputed_at)


def kinds(shown: Shown) -> frozenset[Evidence]:
    """Return the kinds of the proofs ``shown``. Two email addresses, for example, are one kind."""
    return frozenset(proof.kind for proof in shown)


def decide(shown: Set[Evidence], *, holds_factor: bool) -> Outcome:
    """Return the outcome of a request in a dispute.

    Args:
        shown: the kinds of the proofs that the person has shown and that count.
        holds_factor: whether the account holds a second factor, suspended or not.
    """
    number = _count(shown)
    if number >= 3 or (number == 2 and (Evidence.FACTOR in shown or not holds_factor)):
        return Outcome.AT_ONCE
    return Outcome.AFTER_WAITING if number else Outcome.REFUSED


def stops(objection: Set[Evidence], request: Set[Evidence]) -> bool:
    """Return whether an objection stops a request that is in its waiting period.

    An objection needs as many proofs as the request showed, and at least two. If only one side
    shows a second factor, that side wins.

    Args:
        objection: the kinds of the proofs that the objection shows.
        request: the kinds of the proofs that the request showed.
    """
    with_factor = (Evidence.FACTOR in objection, Evidence.FACTOR in request)
    if with_factor[0] != with_factor[1]:
        return with_factor[0]
    return _count(objection) >= max(2, _count(request))


def covers(shown: Shown, request: Shown) -> bool:
    """Return whether the proofs ``shown`` include all proofs of the waiting ``request``.

    A person may complete a request only with all its proofs. Otherwise a thief with another proof,
    such as a second email address of the account, could complete a request of the owner.
    """
    return bool(_count(kinds(shown))) and all(_has(shown, proof) for proof in request)


def _has(shown: Shown, wanted: OwnershipEvidence) -> bool:
    # A removed email address may have been restored since the request.
    fitting = {wanted.kind} | ({Evidence.EMAIL} if wanted.kind is Evidence.REMOVED_EMAIL else set())
    return any(proof.kind in fitting and wanted.key == proof.key for proof in shown)


def _count(shown: Set[Evidence]) -> int:
    # A removed email address counts neither alone nor in addition to a current email address.
    others = shown - {Evidence.REMOVED_EMAIL}
    has_removed = Evidence.REMOVED_EMAIL in shown and Evidence.EMAIL not in shown
    return len(others) + (has_removed and bool(others))

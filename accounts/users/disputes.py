"""The rule about disputes: which proofs of ownership count, and what they allow together.

A dispute arises when somebody wants to open a locked account, undo changes from before the lock or
remove lost second factors; in the last case the request itself is the disputed change. A proof
counts if the account held it seven days before the disputed change, or since it was created. Age is
measured at the change, so a thief gains nothing by waiting. A proof without a stored date counts.

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

A removed email address counts only together with another older proof. If a request and an objection
show equal evidence, the objection wins; a second factor outweighs any number of other proofs. The
waiting period is ``FACTOR_RECOVERY_HOURS``.
"""

from collections.abc import Set
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from accounts.users.models import User

# How long an account must have held a proof before the disputed change.
ESTABLISHED = timedelta(days=7)
# How long a change can be disputed. Credentials that it replaced are kept until then.
DISPUTABLE = timedelta(days=30)
# Proofs added this soon after an account was created count as old as the account.
AT_ONCE = timedelta(minutes=1)


class Evidence(StrEnum):
    """A proof of ownership that counts in a dispute."""

    PASSWORD = "password"  # noqa: S105 the name of a kind of proof
    EMAIL = "email"
    REMOVED_EMAIL = "removed_email"
    # Counts only for an account that had no email address, in place of the mailbox.
    PROVIDER = "provider"
    BROWSER = "browser"
    FACTOR = "factor"


class OlderProof(NamedTuple):
    """A proof of ownership that was shown in a dispute.

    ``key`` tells apart proofs of one kind; an empty key stands for any of them. ``since`` is when
    the account got the proof, or None if that is unknown.
    """

    kind: Evidence
    key: str = ""
    since: datetime | None = None


type Shown = frozenset[OlderProof]


class Outcome(Enum):
    """The outcome of a request in a dispute: granted now, granted after waiting, or refused."""

    AT_ONCE = "at_once"
    AFTER_WAITING = "after_waiting"
    REFUSED = "refused"


def baseline(user: "User", disputed_at: datetime) -> datetime:
    """Return the moment since which the account must have held a proof for it to count.

    It is seven days before ``disputed_at``. For an account that is younger than that, only proofs
    from its creation count.
    """
    return max(user.date_joined + AT_ONCE, disputed_at - ESTABLISHED)


def counts(user: "User", since: datetime | None, disputed_at: datetime) -> bool:
    """Return whether a proof that ``user`` has held since ``since`` is old enough to count."""
    return since is None or since <= baseline(user, disputed_at)


def kinds(shown: Shown) -> frozenset[Evidence]:
    """Return the kinds of the proofs ``shown``. Two email addresses, for example, are one kind."""
    return frozenset(proof.kind for proof in shown)


def decide(shown: Set[Evidence], *, holds_factor: bool) -> Outcome:
    """Return what the evidence ``shown`` allows in a dispute.

    Args:
        shown: the kinds of the proofs that count.
        holds_factor: whether the account holds a second factor, suspended or not.
    """
    number = _count(shown)
    if number >= 3 or (number == 2 and (Evidence.FACTOR in shown or not holds_factor)):
        return Outcome.AT_ONCE
    return Outcome.AFTER_WAITING if number else Outcome.REFUSED


def stops(objection: Set[Evidence], request: Set[Evidence]) -> bool:
    """Return whether an objection stops a waiting request.

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

    Otherwise a thief with another proof, such as a second address of the account, could complete
    the owner's own request, to which the owner does not object.
    """
    return bool(_count(kinds(shown))) and all(_has(shown, proof) for proof in request)


def _has(shown: Shown, wanted: OlderProof) -> bool:
    # A removed address may have been restored since the request.
    fitting = {wanted.kind} | ({Evidence.EMAIL} if wanted.kind is Evidence.REMOVED_EMAIL else set())
    return any(proof.kind in fitting and wanted.key in {"", proof.key} for proof in shown)


def _count(shown: Set[Evidence]) -> int:
    # A removed address adds nothing to a current one, and does not count alone.
    others = shown - {Evidence.REMOVED_EMAIL}
    has_removed = Evidence.REMOVED_EMAIL in shown and Evidence.EMAIL not in shown
    return len(others) + (has_removed and bool(others))

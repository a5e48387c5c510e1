"""Stops recovery requests when a second factor is shown or credentials change."""

from typing import Any

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common.proofs import Proof
from accounts.recovery import evidence, services
from accounts.recovery.models import Recovery
from accounts.users.models import User

# After these events, nothing is left to recover. A lock is not one of them: a single proof is
# enough to lock an account, but not to stop a recovery request.
VOIDED_BY = {
    event.name
    for event in (
        events.PASSWORD_RESET,
        events.FACTORS_RESET,
        events.FACTORS_RECOVERED,
        events.SWITCHED_OFF,
    )
}


def cancel_by_factor(sender: Any, user: User, proof: Proof, actor: Actor, **_more: Any) -> None:
    """Stop the recovery request of ``user`` after a second factor was shown.

    ``proof``: the proof of the second factor. If the factor is too new to count in the dispute, the
        request is not stopped.
    """
    # This runs at every second step, so look for a request without locking the row first.
    found = Recovery.objects.filter(user=user).first()
    factor = evidence.older_factor(user, proof.key, services.asked_at(found)) if found else None
    if factor:
        services.cancel(user, frozenset({factor}), actor.by(proof.method))


def void(sender: Any, user: User, event: str, actor: Actor | None, **_more: Any) -> None:
    """Delete the recovery request of ``user`` after an event that leaves nothing to recover."""
    # Without an actor, the operator has changed the password on the command line.
    if event in VOIDED_BY or actor is None:
        services.delete(user)

"""What ends a request to recover: an older second factor, and changes that leave nothing to do."""

from typing import Any

from accounts.activity import events
from accounts.activity.services import Source
from accounts.kernel.proofs import Proof
from accounts.recovery import evidence, services
from accounts.recovery.models import Recovery
from accounts.users.disputes import Evidence
from accounts.users.models import User

# After these nothing is left to wait for, or the request begins anew with other proofs.
VOIDED_BY = {
    event.name
    for event in (
        events.LOCKED_DOWN,
        events.PASSWORD_RESET,
        events.FACTORS_RESET,
        events.FACTORS_RECOVERED,
        events.SWITCHED_OFF,
    )
}


def cancel_by_factor(sender: Any, user: User, proof: Proof, source: Source, **_more: Any) -> None:
    """Stop the request when an older second factor is shown: whoever has one needs no recovery."""
    # Every good second step comes here: a look holds no other writer up.
    found = Recovery.objects.filter(user=user).first()
    if found and evidence.is_older_factor(user, proof.key, services.asked_at(found)):
        services.cancel(user, frozenset({Evidence.FACTOR}), source.by(proof.method))


def void(sender: Any, user: User, event: str, source: Source | None, **_more: Any) -> None:
    """Forget a request that a change of credentials leaves nothing to wait for."""
    # An operator's ``changepassword`` comes without a source.
    if event in VOIDED_BY or source is None:
        services.delete(user)

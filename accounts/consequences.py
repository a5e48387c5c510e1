"""Carries out the consequences of changed credentials and of verified second factors.

The packages that change credentials are in lower layers, so they send signals.
"""

import uuid
from typing import Any

from django.dispatch import receiver

from accounts.activity import events
from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor, record
from accounts.apikeys import services as keys
from accounts.common.proofs import Proof
from accounts.common.signals import credentials_changed, factor_proved
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.invitations import services as invitations
from accounts.recovery import services as recovery
from accounts.sessions import known_browsers
from accounts.sessions import services as sessions
from accounts.twofactor import passkeys
from accounts.users import services as users
from accounts.users.models import User

CHANGES_RIGHTS = events.names(
    events.RIGHTS_CHANGED,
    events.STAFF_GRANTED,
    events.STAFF_WITHDRAWN,
    events.SUPERUSER_GRANTED,
    events.SUPERUSER_WITHDRAWN,
)
REPLACES_PASSWORD = events.names(
    events.PASSWORD_CHANGED, events.PASSWORD_RESET, events.PASSWORD_SET, events.LOCKED_DOWN
)
# A thief may have added the unconfirmed addresses, before the account had its new password or
# factor.
DELETES_PENDING_EMAILS = events.ACCESS_ENDED | events.names(
    events.PASSWORD_RESET, events.FACTOR_ADDED, events.PASSKEY_ADDED, events.PASSKEY_CONFIRMED
)
# After these events, nothing is left to recover. A lock is not one of them: access to a single
# mailbox is enough to lock an account, but must not be enough to stop a recovery request.
VOIDS_RECOVERY = events.names(
    events.PASSWORD_RESET,
    events.FACTORS_RESET,
    events.FACTORS_RECOVERED,
    events.SWITCHED_OFF,
    # Recovery by waiting is not allowed for members of staff.
    events.STAFF_GRANTED,
    events.SUPERUSER_GRANTED,
)


@receiver(credentials_changed)
def follow_change(
    *,
    user: User,
    event: str,
    actor: Actor | None,
    keep: uuid.UUID | None,
    detail: str = "",
    was_locked: bool = False,
    **_signal: Any,
) -> None:
    """Revoke sessions and keys after a change of credentials, and record it, in its transaction.

    ``actor`` is None on the command line. ``keep`` is the id of the only session that stays signed
    in, or None (ASVS 7.4.3). ``was_locked``: whether a new password has unlocked the account.
    """
    by = actor or Actor(name=OPERATOR)
    # Rows are locked in the same order as by a sign-in, so that the two cannot deadlock.
    users.void_proofs_and_links(user)
    if event in events.ACCESS_ENDED:
        keys.revoke_all(user)
    else:
        known_browsers.keep(user)
        # The API keys are revoked first, because this looks for live sessions.
        keys.revoke_with_sessions(user, keep, by)
        if event in CHANGES_RIGHTS:
            keys.withdraw_staff_scopes(user, by)
    sessions.revoke_all(user, keep=keep, reason=event)
    if event in DELETES_PENDING_EMAILS:
        emails.discard(PendingEmail.objects.filter(user=user))
    if event in VOIDS_RECOVERY or actor is None:
        recovery.forget(user)
    record(user, events.EVENTS[event], by, detail=detail)
    if was_locked:
        record(user, events.UNLOCKED, by)
    if event in REPLACES_PASSWORD:
        # A thief with the former password may have signed in with it.
        passkeys.remove_unconfirmed(user, by)
    if event in events.ACCESS_ENDED:
        # A thief may have sent the invitations, to return with another account.
        invitations.revoke_all(user)


@receiver(factor_proved)
def follow_factor(*, user: User, proof: Proof, actor: Actor, **_signal: Any) -> None:
    """Stop the recovery request of ``user`` after a second factor was shown."""
    # This runs at every second step, so look for a request without locking the row first.
    if user.lock is None and recovery.find_current(user):
        recovery.cancel(user, proof, actor=actor.by(proof.method))

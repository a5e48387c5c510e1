"""Ends what rests on a password or a session that is no longer trusted; notes who has a factor."""

from collections.abc import Iterable
from typing import Any

from accounts.activity import events
from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.twofactor import new_passkeys, protection, trusted_browsers
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import User

PASSWORD_ENDS = {
    event.name
    for event in (
        events.PASSWORD_CHANGED,
        events.PASSWORD_RESET,
        events.PASSWORD_SET,
        events.LOCKED_DOWN,
    )
}


def end_trust(sender: Any, user: User, actor: Actor, **_more: Any) -> None:
    """End the trust in all browsers of ``user``, in the transaction that revokes the sessions."""
    trusted_browsers.end(user, actor)


def remove_unconfirmed(
    sender: Any, user: User, event: str, actor: Actor | None, **_more: Any
) -> None:
    """Remove the passkeys that a browser made after a sign-in with the former password.

    A thief with that password may have signed in with it.
    """
    if event in PASSWORD_ENDS:
        new_passkeys.remove_unconfirmed(user, actor or Actor(name=OPERATOR))


def note_factor(
    sender: Any,
    instance: Authenticator | Passkey,
    update_fields: Iterable[str] | None = None,
    **_more: Any,
) -> None:
    """Note whether the user of a factor that was saved or deleted has one.

    A sign-in saves only fields that say nothing about this.
    """
    if update_fields is None or "confirmed" in update_fields:
        protection.note(instance.user_id)

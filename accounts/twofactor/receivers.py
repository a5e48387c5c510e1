"""Ends the trust in all browsers of a user who signs out everywhere else."""

from typing import Any

from accounts.activity.services import Actor
from accounts.twofactor import trusted_browsers
from accounts.users.models import User


def end_trust(sender: Any, user: User, actor: Actor, **_more: Any) -> None:
    """End the trust in all browsers of ``user``, in the transaction that revokes the sessions."""
    trusted_browsers.end(user, actor)

"""Receivers of signals about changed credentials."""

from typing import Any

from accounts.users import services
from accounts.users.models import User


def void_proofs(sender: Any, user: User, **_more: Any) -> None:
    """Void the proofs of ``user``, so that sign-ins under way fail."""
    services.void_proofs(user)

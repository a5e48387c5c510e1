"""Receivers of signals about changed credentials."""

from typing import Any

from accounts.users import services
from accounts.users.models import User


def void_proofs(sender: Any, user: User, **_more: Any) -> None:
    """Invalidate the proofs and emailed links of ``user``, so that pending sign-ins fail."""
    services.void_proofs_and_links(user)

"""A change of credentials makes worthless what was proved before it."""

from typing import Any

from accounts.users import services
from accounts.users.models import User


def count(sender: Any, user: User, **_more: Any) -> None:
    """Let sign-ins that are under way fail: see ``accounts.signin.session``."""
    services.outdate(user)

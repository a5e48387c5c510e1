"""Finds the user whom an argument of a command names."""

from django.core.management.base import CommandError

from accounts.users import services as users
from accounts.users.models import User


def named(user: str) -> User:
    """Return the user with this username, email address or id.

    Raises:
        CommandError: there is no such user.
    """
    found = users.find(user) or users.find_by_id(user)
    if not isinstance(found, User):
        raise CommandError(f"There is no user {user!r}.")
    return found

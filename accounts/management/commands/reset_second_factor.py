from typing import Any

from django.core.management.base import CommandError

from accounts.management.answers import COMMAND_LINE, UserCommand
from accounts.twofactor import services as twofactor
from accounts.users.models import User


class Command(UserCommand):
    """Records the command in the user's history, and notifies the user by email."""

    help = "Remove every second factor of a user and revoke every session. Verify who asks first."

    def result_for(self, user: User) -> dict[str, Any]:
        if not twofactor.has_any(user):
            raise CommandError(f"{user.username} has no second factor.")
        twofactor.reset(user, COMMAND_LINE)
        return {"username": user.username}

    def words(self, facts: dict[str, Any]) -> str:
        return "{username} has no second factor any more, and is signed out.".format(**facts)

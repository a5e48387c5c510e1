from typing import Any

from accounts.management.answers import COMMAND_LINE, UserCommand
from accounts.sessions import services as sessions
from accounts.users.models import User


class Command(UserCommand):
    """Records the command in the user's history, and notifies the user by email."""

    help = "Revoke every session of a user."

    def result_for(self, user: User) -> dict[str, Any]:
        count = sessions.revoke_by_operator(user, COMMAND_LINE)
        return {"username": user.username, "sessions": count}

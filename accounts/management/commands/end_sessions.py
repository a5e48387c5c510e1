"""``end_sessions``: sign a person out everywhere."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.activity.services import OPERATOR, Actor
from accounts.management.users import named
from accounts.sessions import services as sessions


class Command(BaseCommand):
    """It is recorded, and the person is told by mail."""

    help = "Revoke every session of a user."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("user", help="username, email address or id")

    def handle(self, *_args: Any, user: str, **_options: Any) -> None:
        """End them, and say how many there were."""
        found = named(user)
        count = sessions.revoke_by_operator(found, Actor(name=OPERATOR))
        self.stdout.write(f"{count} sign-ins of {found.username} were ended.")

"""``end_sessions``: sign a user out everywhere."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.management.users import named
from accounts.sessions import services as sessions


class Command(BaseCommand):
    """Records the command in the user's history, and notifies the user by email."""

    help = "Revoke every session of a user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="username, email address or id")

    def handle(self, *_args: Any, user: str, **_options: Any) -> None:
        found = named(user)
        count = sessions.revoke_by_operator(found, Actor(name=OPERATOR))
        self.stdout.write(f"{count} sessions of {found.username} were revoked.")

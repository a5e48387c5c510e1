"""``reset_second_factor``: remove the second factors of a user who has lost them all."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.management.users import named
from accounts.twofactor import removal
from accounts.twofactor import services as twofactor


class Command(BaseCommand):
    """Records the command in the user's history, and notifies the user by email."""

    help = "Remove every second factor of a user and revoke every session. Verify who asks first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="username, email address or id")

    def handle(self, *_args: Any, user: str, **_options: Any) -> None:
        found = named(user)
        if not twofactor.has_any(found):
            raise CommandError(f"{found.username} has no second factor.")
        removal.reset(found, Actor(name=OPERATOR))
        self.stdout.write(f"{found.username} has no second factor any more, and is signed out.")

"""``reset_second_factor``: for a person who has lost every one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.activity.services import OPERATOR, Actor
from accounts.management.users import named
from accounts.twofactor import services as twofactor


class Command(BaseCommand):
    """It is recorded, and the person is told by mail. Be sure who asks for it."""

    help = "Remove every second factor of a user and revoke every session. Verify who asks first."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("user", help="username, email address or id")

    def handle(self, *_args: Any, user: str, **_options: Any) -> None:
        """Remove them; every sign-in ends."""
        found = named(user)
        if not twofactor.has_any(found):
            raise CommandError(f"{found.username} has no second factor.")
        twofactor.reset(found, Actor(name=OPERATOR))
        self.stdout.write(f"{found.username} has no second factor any more, and is signed out.")

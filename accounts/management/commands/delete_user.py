"""``delete_user``: request the deletion of an account for a person who cannot sign in."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.common import clock
from accounts.deletion import services as deletion
from accounts.management.answers import COMMAND_LINE, UserCommand
from accounts.users.models import User


class Command(UserCommand):
    """Does what staff can do on the page of a person. The history of the user records it."""

    help = "Delete an account after DELETION_DAYS. Every address gets an email with a link to undo."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--now", action="store_true", help="without DELETION_DAYS: by `prune`")

    def answer(self, **options: Any) -> dict[str, Any]:
        self._is_now = options["now"]
        return super().answer(**options)

    def result_for(self, user: User) -> dict[str, Any]:
        if user.deletion_due and not self._is_now:
            raise CommandError(f"{user.username} will be deleted already: {user.deletion_due}.")
        due = deletion.request(user, COMMAND_LINE, clock.now() if self._is_now else None)
        return {"username": user.username, "deletion_due": due}

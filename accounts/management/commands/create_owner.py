"""``create_owner``: print the one-time link that creates the first administrator."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.ops import owner


class Command(BaseCommand):
    """Prints only the link, on one line, so that scripts can read it."""

    help = "Print a one-time link that creates the first administrator. Older links stop working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--if-none", action="store_true", help="print nothing if an administrator exists"
        )

    def handle(self, *_args: Any, if_none: bool, **_options: Any) -> None:
        link = owner.new_link()
        if link:
            self.stdout.write(link)
        elif not if_none:
            raise CommandError(
                "An administrator exists already. To add another one, run createsuperuser."
            )

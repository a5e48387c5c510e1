"""``create_owner``: print the one-time link that creates the first administrator."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.ops import public_views

PURPOSE = "There is no administrator yet. This link creates one; it works once, for 24 hours:"


class Command(BaseCommand):
    """Prints only the link, so that scripts can read it. ``--if-none`` also prints its purpose."""

    help = "Print a one-time link that creates the first administrator. Older links stop working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--if-none",
            action="store_true",
            help="print what the link is for, too; if an administrator exists, print nothing",
        )

    def handle(self, *_args: Any, if_none: bool, **_options: Any) -> None:
        link = public_views.new_link()
        if link and if_none:
            self.stdout.write(f"{PURPOSE}\n{link}\n\n")
        elif link:
            self.stdout.write(link)
        elif not if_none:
            raise CommandError(
                "An administrator exists already. To add another one, run createsuperuser."
            )

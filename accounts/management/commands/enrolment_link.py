"""``enrolment_link``: print a link by which a user without a second factor adds one."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.management.users import named
from accounts.twofactor_pages import links


class Command(BaseCommand):
    """Prints the link alone on a line, so that scripts can read it."""

    help = (
        "Print a one-time link by which a user who must have a second factor and has none signs in "
        "and adds one. An older link ends. Give it to nobody else: it replaces password and "
        "mailed code."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def handle(self, *_args: Any, user: str, **options: Any) -> None:
        found = named(user)
        try:
            link = links.new_link(found)
        except links.NotNeeded:
            raise CommandError(
                f"{found.username} needs no link: a second factor is there (reset_second_factor "
                "removes it), is not required, or the account is switched off."
            ) from None
        answer = json.dumps({"user": found.username, "link": link})
        self.stdout.write(answer if options["json"] else link)

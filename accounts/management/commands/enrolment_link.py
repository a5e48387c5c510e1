"""``enrolment_link``: print a link for a user who must have a second factor but has none.

With the link, the user signs in once and adds a second factor.
"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.management.users import named
from accounts.twofactor_pages import links


class Command(BaseCommand):
    """Prints only the link, on one line, so that scripts can read it."""

    help = (
        "Print a one-time link for a user who must have a second factor and has none. It signs the "
        "user in to add one. Older links stop working. Give the link only to that user, because it "
        "replaces the password and the emailed code."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="username, email address or id")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, user: str, **options: Any) -> None:
        found = named(user)
        try:
            link = links.new_link(found)
        except links.NotNeeded:
            raise CommandError(
                f"{found.username} needs no link: the account has a second factor "
                "(reset_second_factor removes it), needs none, or is deactivated."
            ) from None
        answer = json.dumps({"user": found.username, "link": link})
        self.stdout.write(answer if options["json"] else link)

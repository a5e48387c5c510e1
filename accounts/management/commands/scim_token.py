"""``scim_token``: create a directory with its token, or a new token for a directory."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.common import clock
from accounts.management.answers import COMMAND_LINE, ResultCommand
from accounts.scim import services
from accounts.scim.models import Directory
from accounts.scim.services import url


class Command(ResultCommand):
    """Prints the token once."""

    help = (
        "Make a token with which a directory, such as Okta, creates and deactivates accounts by "
        "SCIM. The token is printed once and not stored. All superusers get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name of the directory, which its people read")
        parser.add_argument("--days", type=int, help="days until the token expires; else never")
        parser.add_argument(
            "--rotate", action="store_true", help="a new token; the former one works for a week"
        )
        parser.add_argument(
            "--now", action="store_true", help="with --rotate: the former token ends at once"
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        name, days = options["name"], options["days"]
        try:
            if options["rotate"]:
                directory = Directory.objects.get(name=name)
                token = services.rotate(directory, COMMAND_LINE, now=options["now"])
            else:
                expires_at = clock.now() + timedelta(days=days) if days else None
                token = services.save(Directory(name=name, expires_at=expires_at), COMMAND_LINE)
        except Directory.DoesNotExist:
            raise CommandError(f"There is no directory {name!r}.") from None
        return {"scim_token": token, "url": url()}

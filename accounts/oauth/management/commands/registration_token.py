"""``registration_token``: create a token with which apps register themselves."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from accounts.common import clock
from accounts.common.pages import absolute
from accounts.management.answers import COMMAND_LINE
from accounts.oauth import scopes
from accounts.oauth.clients import registration
from accounts.oauth.management.clients import ClientCommand, add_access


class Command(ClientCommand):
    """Prints the token once."""

    help = (
        "Create a token with which apps register themselves (an initial access token, RFC 7591). "
        "The token is printed once and not stored. All superusers get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--clients", type=int, default=1, help="how many apps may register; without it: 1"
        )
        parser.add_argument(
            "--days", type=int, default=7, help="days until the token expires; by default 7"
        )
        add_access(parser, "these apps")

    def answer(self, **options: Any) -> dict[str, Any]:
        count, days = options["clients"], options["days"]
        scope = options["scope"] or scopes.DEFAULT.split()
        expires_at = clock.now() + timedelta(days=days)
        token, text = registration.make(count, expires_at, scope, options["audience"], COMMAND_LINE)
        return {
            "registration_token": text,
            "registration_endpoint": absolute("register"),
            "expires_at": token.expires_at.isoformat(),
        }

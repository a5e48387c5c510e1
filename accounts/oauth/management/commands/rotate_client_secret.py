"""``rotate_client_secret``: replace the secret of an app with a new one."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.management.answers import COMMAND_LINE
from accounts.oauth.clients import services as clients
from accounts.oauth.management.clients import ClientCommand, client_with


class Command(ClientCommand):
    """Prints the client ID and, once, the new client secret."""

    help = (
        "Make a new secret of an app, and print it. The current secret stays valid for seven days; "
        "an older one ends. All superusers get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the client ID of the app")
        parser.add_argument(
            "--now", action="store_true", help="all former secrets end now: they may have leaked"
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        client = client_with(options["client_id"])
        secret = clients.rotate_secret(client, COMMAND_LINE, now=options["now"])
        return {"client_id": client.pk, "client_secret": secret}

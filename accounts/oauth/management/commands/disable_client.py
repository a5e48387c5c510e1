"""``disable_client``: disable an app."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.management.answers import COMMAND_LINE
from accounts.oauth.clients import services as clients
from accounts.oauth.management.clients import ClientCommand, client_with


class Command(ClientCommand):
    """Does nothing if the app is disabled already."""

    help = (
        "Disable an app: its secrets are not accepted. The admin enables it again. All superusers "
        "get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the client ID of the app")

    def answer(self, **options: Any) -> dict[str, Any]:
        client = client_with(options["client_id"])
        clients.set_enabled(client, COMMAND_LINE, enabled=False)
        return {"client_id": client.pk, "disabled": True}

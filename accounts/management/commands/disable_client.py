"""``disable_client``: disable an app."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.management.clients import ClientCommand, client_with
from accounts.oauth import clients


class Command(ClientCommand):
    """Does nothing if the app is disabled already."""

    help = (
        "Disable an app: its secrets are not accepted. The admin enables it again. All superusers "
        "get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the client ID of the app")
        super().add_arguments(parser)

    def handle(self, *_args: Any, client_id: str, **options: Any) -> None:
        client = client_with(client_id)
        clients.set_enabled(client, Actor(name=OPERATOR), enabled=False)
        self.show(options, client_id=client.pk, disabled=True)

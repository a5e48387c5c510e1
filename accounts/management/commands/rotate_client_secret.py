"""``rotate_client_secret``: make a new secret of an app."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor
from accounts.management.clients import ClientCommand, client_with
from accounts.oauth import clients


class Command(ClientCommand):
    """Prints the client ID and, once, the new client secret."""

    help = (
        "Make a new secret of an app, and print it. The present secret stays valid for seven days; "
        "an older one ends. All superusers get an email."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the client ID of the app")
        parser.add_argument(
            "--now", action="store_true", help="all former secrets end now: they may have leaked"
        )
        super().add_arguments(parser)

    def handle(self, *_args: Any, client_id: str, now: bool, **options: Any) -> None:
        client = client_with(client_id)
        try:
            secret = clients.rotate_secret(client, Actor(name=OPERATOR), now=now)
        except clients.NoSecret as error:
            raise CommandError(str(error)) from None
        self.show(options, client_id=client.pk, client_secret=secret)

"""What the commands about apps share."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.oauth.models import Client


class ClientCommand(BaseCommand):
    """A command that prints values: a line for each, or all as one JSON object."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def show(self, options: dict[str, Any], **values: Any) -> None:
        """Print ``values``."""
        lines = [f"{name}: {value}" for name, value in values.items()]
        self.stdout.write(json.dumps(values) if options["json"] else "\n".join(lines))


def client_with(client_id: str) -> Client:
    """Return the app with this client ID.

    Raises:
        CommandError: there is no such app.
    """
    # PostgreSQL refuses a NUL character with another error.
    found = Client.objects.filter(pk=client_id).first() if client_id.isprintable() else None
    if found is None:
        raise CommandError(f"There is no app with the client ID {client_id!r}.")
    return found

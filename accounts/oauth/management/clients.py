"""The base class of the commands about apps, and a function that finds an app."""

from typing import Any

from django.core.management.base import CommandError

from accounts.management.answers import ResultCommand
from accounts.oauth.clients.models import Client


class ClientCommand(ResultCommand):
    """A command about an app. Its result uses the names of OAuth, such as ``client_id``."""

    def words(self, facts: dict[str, Any]) -> str:
        return "\n".join(f"{name}: {value}" for name, value in facts.items())


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

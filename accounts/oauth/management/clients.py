"""Shared parts of the commands about apps: the base class, options, and finding an app."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Model

from accounts.management.answers import ResultCommand
from accounts.oauth import scopes
from accounts.oauth.clients.models import Client

# The options of an argument that takes several values.
MANY: dict[str, Any] = {"nargs": "+", "action": "extend"}


class ClientCommand(ResultCommand):
    """A command about an app. Its result uses the names of OAuth, such as ``client_id``."""

    def words(self, facts: dict[str, Any]) -> str:
        return "\n".join(f"{name}: {value}" for name, value in facts.items())


def add_access(parser: CommandParser, who: str) -> None:
    """Add the options for the scopes and services that ``who`` may have."""
    parser.add_argument(
        "--scope",
        **MANY,
        choices=scopes.known(),
        help=f"scopes that {who} may request; without this option: {scopes.DEFAULT}",
    )
    parser.add_argument(
        "--audience",
        **MANY,
        default=[],
        choices=scopes.audiences(),
        help=f"services for which {who} may get access tokens: ORIGIN or TOKEN_AUDIENCES",
    )


def client_with(client_id: str) -> Client:
    """Return the app with this client ID.

    Raises:
        CommandError: there is no such app.
    """
    return find(Client, "app with the client ID", pk=client_id)


def find[M: Model](model: type[M], what: str, **key: str) -> M:
    """Return the row of ``model`` with this ``key``; ``what`` names it in the error.

    Raises:
        CommandError: there is no such row.
    """
    (value,) = key.values()
    # PostgreSQL refuses a NUL character with another error.
    found = model._default_manager.filter(**key).first() if value.isprintable() else None
    if found is None:
        raise CommandError(f"There is no {what} {value!r}.")
    return found

"""``revoke_key``: revoke an API key, for example one that a secret scanner has found."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.apikeys import services as apikeys
from accounts.apikeys.models import PREFIX, APIKey
from accounts.common.secrets import ID_LENGTH
from accounts.management.answers import COMMAND_LINE, ResultCommand

# Pages show this many characters of the id of a key.
SHORTEST = 4


class Command(ResultCommand):
    """Records the command in the owner's history, and notifies the owner by email."""

    help = "Revoke the API key that begins with these characters."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "prefix",
            help="authsite_ and at least the four characters after it, which pages show, or the "
            "whole key",
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        key = _key(options["prefix"].strip().removeprefix(PREFIX)[:ID_LENGTH])
        if not apikeys.revoke(key.user, key.pk, COMMAND_LINE):
            raise CommandError("The key was revoked at the same moment.")
        return {"username": key.user.username, "name": key.name, "id": f"{PREFIX}{key.pk}"}


def _key(start: str) -> APIKey:
    """Return the only API key whose id begins with ``start``.

    Raises:
        CommandError: ``start`` is too short, or no key or several keys begin with it.
    """
    if len(start) < SHORTEST:
        raise CommandError(f"Give at least {SHORTEST} characters after {PREFIX}.")
    found = list(APIKey.objects.filter(pk__startswith=start).select_related("user")[:20])
    if not found:
        raise CommandError(f"No API key begins with {PREFIX}{start}.")
    if len(found) > 1:
        several = "\n".join(f"{PREFIX}{k.pk}  {k.user.username}  {k.name}" for k in found)
        raise CommandError(f"Several API keys begin with {PREFIX}{start}:\n{several}")
    return found[0]

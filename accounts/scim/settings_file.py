"""Directories in a settings file."""

from datetime import UTC, datetime

from accounts.common.secrets import SCIM_TOKEN
from accounts.scim import services
from accounts.scim.models import Directory
from accounts.settingsfile.kinds import (
    ACTOR,
    Kind,
    Values,
    new_key,
    referred,
    remember,
    written_digest,
)

NEVER = datetime.max.replace(tzinfo=UTC)


class Directories(Kind[Directory]):
    """The directories, by their names.

    A new token replaces the former one as in the admin. A token that a file has created once is not
    created again.
    """

    name = "directories"
    secret = "token"  # noqa: S105 the name of a key
    kept = frozenset({"token", "enabled"})
    withheld = frozenset({"token"})

    @property
    def defaults(self) -> Values:
        return {"token": "", "expires": NEVER, "enabled": True}

    def rows(self) -> dict[str, Directory]:
        return {row.name: row for row in Directory.objects.order_by("name")}

    def values(self, row: Directory) -> Values:
        return {
            "token": written_digest(row.token_id, row.digest),
            "expires": row.expires_at or NEVER,
            "enabled": row.disabled_at is None,
        }

    def normal(self, name: str, value: object) -> object:
        return referred(str(value), SCIM_TOKEN, "scim-token") if name == "token" else value

    def save(
        self, identity: str, row: Directory | None, values: Values, changed: set[str]
    ) -> Directory:
        directory = row or Directory(name=identity)
        directory.expires_at = None if values["expires"] == NEVER else values["expires"]
        new = new_key(values["token"]) if values["token"] else None
        if row is None or "expires" in changed:
            services.save(directory, ACTOR, new)
        if row and new and "token" in changed:
            services.rotate(directory, ACTOR, new=new)
        if new and "token" in changed:
            remember(new.id)
        services.set_enabled(directory, ACTOR, enabled=values["enabled"])
        return directory

    def remove(self, row: Directory) -> bool:
        """Disable the directory, as in the admin."""
        return services.set_enabled(row, ACTOR, enabled=False)

    def mark(self, row: Directory) -> str:
        """Return the id and the name, so that the file does not change a renamed directory."""
        return f"{row.pk} {row.name}"

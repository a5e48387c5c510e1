"""Webhooks in a settings file."""

from functools import cached_property
from typing import Any

from django.contrib.auth.models import Group

from accounts.activity.events import TYPES
from accounts.common.secrets import plain_digest
from accounts.settingsfile.kinds import ACTOR, Kind, Values, in_order, read_secret, remember
from accounts.webhooks import services
from accounts.webhooks.models import Endpoint


class Webhooks(Kind[Endpoint]):
    """The webhooks, by their descriptions. Their secrets are never dumped, not even as digests."""

    name = "webhooks"
    secret = "secret"  # noqa: S105 the name of a key
    kept = frozenset({"secret", "enabled"})
    withheld = frozenset({"secret"})

    @property
    def defaults(self) -> Values:
        return self.values(Endpoint())

    @cached_property
    def _groups(self) -> dict[str, int]:
        """The ids of the groups by name. A deleted group has an empty name."""
        return {"": 0, **dict(Group.objects.order_by("name").values_list("name", "pk"))}

    def rows(self) -> dict[str, Endpoint]:
        return {row.description: row for row in Endpoint.objects.order_by("description")}

    def values(self, row: Endpoint) -> Values:
        names = {id: name for name, id in self._groups.items()}
        groups = {names.get(id, "") for id in row.groups}
        return {
            "url": row.url,
            "is_private": row.is_private,
            "format": str(row.format),
            "kinds": [name for name in TYPES if name in row.kinds],
            "groups": [name for name in self._groups if name in groups],
            "secret": "",
            "enabled": row.disabled_at is None,
        }

    def normal(self, name: str, value: Any) -> Any:
        match name:
            case "kinds":
                return in_order(value, TYPES)
            case "groups":
                return in_order(value, self._groups)
            case "secret":
                return read_secret(value)
        return value

    def mark_of(self, secret: str) -> str:
        return plain_digest(secret)

    def save(
        self, identity: str, row: Endpoint | None, values: Values, changed: set[str]
    ) -> Endpoint:
        endpoint, secret = row or Endpoint(description=identity), values["secret"]
        for name in ("url", "is_private", "format", "kinds"):
            setattr(endpoint, name, values[name])
        if "groups" in changed:
            endpoint.groups = [self._groups[name] for name in values["groups"]]
        if row is None or changed - {"secret", "enabled"}:
            services.save_endpoint(endpoint, ACTOR, secret)
        if row and "secret" in changed:
            services.rotate_secret(endpoint, ACTOR, new=secret)
        if "secret" in changed and secret:
            remember(self.mark_of(secret))
        services.set_enabled(endpoint, ACTOR, enabled=values["enabled"])
        return endpoint

    def remove(self, row: Endpoint) -> bool:
        """Disable the webhook, as in the admin."""
        return services.set_enabled(row, ACTOR, enabled=False)

    def mark(self, row: Endpoint) -> str:
        """Return the id and the description, so that the file does not change a renamed webhook."""
        return f"{row.pk} {row.description}"

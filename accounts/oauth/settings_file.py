"""Apps and registration tokens in a settings file."""

import base64
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from accounts.common import clock
from accounts.common.secrets import CLIENT_SECRET, REGISTRATION
from accounts.oauth import scopes
from accounts.oauth.clients import keys, registration, services
from accounts.oauth.clients.models import Client, ClientLogo, ClientSecret, RegistrationToken
from accounts.settingsfile.kinds import (
    ACTOR,
    Kind,
    Values,
    in_order,
    new_key,
    referred,
    remember,
    written_digest,
)

COLUMNS = [c.name for c in Client._meta.fields if c.editable and not c.primary_key]
LOGO = "data:image/png;base64,"


class Apps(Kind[Client]):
    """The apps that operators have registered, by client ID.

    The keys are the columns that staff can change, ``secret``, and ``enabled``. The file does not
    undo what staff have ended: it enables an app only if it says so, and does not restore a secret
    that it has created once.
    """

    name = "apps"
    secret = "secret"  # noqa: S105 the name of a key
    kept = frozenset({"secret", "enabled"})
    withheld = frozenset({"secret", "logo"})

    @cached_property
    def defaults(self) -> Values:
        return self.values(Client())

    @cached_property
    def _secrets(self) -> dict[str, ClientSecret]:
        rows = ClientSecret.objects.filter(expires_at=None)
        return {row.client_id: row for row in rows}

    @cached_property
    def _logos(self) -> dict[str, Any]:
        return dict(ClientLogo.objects.values_list("client", "content"))

    def rows(self) -> dict[str, Client]:
        rows = Client.objects.filter(source=Client.Source.OPERATOR).order_by("pk")
        return {row.pk: row for row in rows.select_related("required_group")}

    def values(self, row: Client) -> Values:
        logo, secret = self._logos.get(row.pk), self._secrets.get(row.pk)
        return {name: getattr(row, name) for name in COLUMNS} | {
            # Scopes and services that were removed from the settings have no effect.
            "scope": [name for name in scopes.known() if name in row.scope.split()],
            "audiences": [name for name in scopes.audiences() if name in row.audiences],
            "jwks": row.jwks or {},
            "required_group": row.required_group.name if row.required_group else "",
            "logo": _data_uri(logo) if logo else "",
            "secret": written_digest(secret.pk, secret.digest) if secret else "",
            "enabled": row.disabled_at is None,
        }

    def normal(self, name: str, value: Any) -> Any:
        match name:
            case "secret":
                return referred(value, CLIENT_SECRET, "client-secret")
            case "logo" if value:
                return _logo(value)
            case "jwks" if value:
                return keys.checked(value)
        return _offered(name, value)

    def save(self, identity: str, row: Client | None, values: Values, changed: set[str]) -> Client:
        logo = base64.b64decode(values["logo"].removeprefix(LOGO))
        columns = {name: values[name] for name in COLUMNS} | {
            "scope": " ".join(values["scope"]),
            "jwks": values["jwks"] or None,
            "required_group": _group(values["required_group"]),
            "logo": services.version_of(logo) if logo else "",
        }
        secret = values["secret"] if "secret" in changed else ""
        new = new_key(secret) if secret else None
        # The call refuses the client ID of a self-described app.
        client = services.find_operator_app(identity) or Client(pk=identity, **columns)
        client.new_logo = logo
        if row is None:
            services.create(client, ACTOR, new)
        else:
            services.update(client, columns, ACTOR)
            if new:
                services.rotate_secret(client, ACTOR, new=new)
        if new:
            remember(new.id)
        services.set_enabled(client, ACTOR, enabled=values["enabled"])
        return client

    def remove(self, row: Client) -> bool:
        """Disable the app instead of deleting it, because its client ID must not be used again."""
        return services.set_enabled(row, ACTOR, enabled=False)


class RegistrationTokens(Kind[RegistrationToken]):
    """The registration tokens, by their ids. A token is created once and never changes."""

    name = "registration_tokens"
    withheld = frozenset({"token"})

    @cached_property
    def defaults(self) -> Values:
        given = {"scope": scopes.DEFAULT.split(), "audiences": []}
        # No token is valid for that long, so a file must set the key ``expires``.
        return {"token": "", "clients": 1, "expires": datetime.max.replace(tzinfo=UTC), **given}

    def rows(self) -> dict[str, RegistrationToken]:
        return {row.pk: row for row in RegistrationToken.objects.order_by("created_at", "pk")}

    def values(self, row: RegistrationToken) -> Values:
        return {
            "token": written_digest(row.pk, row.digest),
            "clients": row.clients_left,
            "expires": row.expires_at,
            "scope": [name for name in scopes.known() if name in row.scope.split()],
            "audiences": [name for name in scopes.audiences() if name in row.audiences],
        }

    def normal(self, name: str, value: Any) -> Any:
        if name == "token":
            return referred(value, REGISTRATION, "registration-token")
        return _offered(name, ["openid", *value] if name == "scope" else value)

    def identity(self, _key: str, given: Values) -> str:
        if "token" not in given:
            raise ValidationError({"token": "Refer to the token by env:NAME or file:PATH."})
        return new_key(given["token"]).id

    def differing(self, row: RegistrationToken, current: Values, wanted: Values) -> set[str]:
        """Return no keys: ``clients`` decreases with each app, and others cannot change."""
        if changed := super().differing(row, current, wanted) - {"clients"}:
            raise ValidationError({min(changed): "A token never changes: refer to a new one."})
        return set()

    def is_over(self, identity: str, values: Values) -> bool:
        return identity in self.made or values["expires"] <= clock.now() or not values["clients"]

    def save(
        self, _identity: str, _row: RegistrationToken | None, values: Values, _changed: set[str]
    ) -> RegistrationToken:
        count, expires_at, scope = values["clients"], values["expires"], values["scope"]
        new = new_key(values["token"])
        return registration.make(count, expires_at, scope, values["audiences"], ACTOR, new=new)[0]

    def remove(self, row: RegistrationToken) -> bool:
        return registration.revoke(row, ACTOR)


def _offered(name: str, value: Any) -> Any:
    offered = {"scope": scopes.known, "audiences": scopes.audiences}
    return in_order(value, offered[name]()) if name in offered else value


def _data_uri(content: bytes) -> str:
    return LOGO + base64.b64encode(content).decode()


def _logo(reference: str) -> str:
    """Return the data URI of the PNG file that ``reference`` names or contains.

    Raises:
        ValidationError: the file is not a logo: see :func:`services.version_of`.
        OSError: the file cannot be read.
    """
    if reference.startswith("file:"):
        content = Path(reference.removeprefix("file:")).read_bytes()
    else:
        # Any other text is decoded to bytes that are not a PNG file.
        content = base64.b64decode(reference.removeprefix(LOGO))
    services.version_of(content)
    return _data_uri(content)


def _group(name: str) -> Group | None:
    group = Group.objects.filter(name=name).first()
    if name and group is None:
        raise ValidationError({"required_group": "There is no such group: add it to the file."})
    return group

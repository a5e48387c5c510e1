"""Creates, changes, disables and authenticates apps, which OAuth calls clients; stores their logos.

All superusers are notified of each change, because whoever controls an app receives the data of the
people who sign in to it.

Only operators provide logos. An app that chooses its own logo could use the logo of another app.
"""

import hmac
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record_for_superusers
from accounts.common import clock, secrets
from accounts.common.config import Config
from accounts.common.database import P, PreparedQueries, PreparedQuery, delete_in_batches
from accounts.common.errors import PublicError
from accounts.common.secrets import CLIENT_SECRET, NewKey
from accounts.oauth import app_sessions, id_tokens
from accounts.oauth.clients import uris
from accounts.oauth.clients.models import Client, ClientLogo, ClientSecret
from accounts.oauth.models import AuthorizationCode
from accounts.ops.doctor.findings import Finding, found
from accounts.ops.doctor.inside import some
from accounts.sessions.models import LoginSession

# The app is enabled and authenticates by secrets.
HAS_SECRET = Q(is_public=False, jwks__isnull=True, jwks_uri="", disabled_at__isnull=True)
_ID = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
HAS_KEYS = Q(jwks__isnull=False) | ~Q(jwks_uri="")
_BY_ID = PreparedQuery(lambda: Client.objects.filter(pk=P("id")))
# One query for a secret by its id, and one for an enabled app with secrets by its id.
_WITH_SECRET = PreparedQueries(
    PreparedQuery(lambda: ClientSecret.objects.filter(pk=P("secret"))),
    PreparedQuery(lambda: Client.objects.filter(HAS_SECRET, pk=P("id"))),
)

# How long the former secret of an app stays valid, so that its developer can replace it.
OVERLAP = timedelta(days=7)


class NoSecret(PublicError):
    """The app is public or authenticates by a key, so it has no secret."""

    code = "invalid_target"
    message = _("This app has no secret.")


class SecretReplaced(PublicError):
    """The current secret is not the secret that the caller saw."""

    code = "already_done"
    status = 409
    message = _("This app has got a new secret since you opened the page. Do you want another one?")


@transaction.atomic
def create(client: Client, actor: Actor, new: NewKey | None = None) -> str:
    """Save the new app ``client``; return its secret, or an empty text if it has none.

    ``new``: the secret of the app; by default, a random one.

    Raises:
        ValidationError: a field of ``client`` is invalid: see :meth:`Client.clean`.
        NoSecret: ``new`` is given, but the app has no secret.
    """
    client.full_clean()
    client.save(force_insert=True)
    save(client)
    if client.registered_with:
        tell(events.APP_SELF_REGISTERED, f"{client.label}, {client.registered_with}", actor)
    else:
        tell(events.APP_REGISTERED, client.label, actor)
    # The first app needs a key for ID tokens, which must be published before it signs.
    transaction.on_commit(id_tokens.be_ready, robust=True)
    if new and not client.has_secret:
        raise NoSecret
    return _add_secret(client, actor, new) if client.has_secret else ""


def find_operator_app(client_id: str) -> Client | None:
    """Return the app with this client ID if an operator has registered it, else None.

    Raises:
        ValidationError: ``client_id`` is malformed, or the ID of a self-described app.
    """
    if not _ID.fullmatch(client_id):
        raise ValidationError(
            "A client ID consists of letters A-Z and a-z, digits, and the signs ._~-"
        )
    found = Client.objects.filter(pk=client_id).first()
    if found and found.source != Client.Source.OPERATOR:
        raise ValidationError("This app has described itself. Change it in the admin.")
    return found


def update(client: Client, fields: Mapping[str, Any], actor: Actor) -> None:
    """Change the ``fields`` of ``client`` whose values are different.

    Raises:
        ValidationError: a field has an invalid value, or cannot be changed.
    """
    if client.is_public != fields["is_public"]:
        raise ValidationError("An app stays public, or stays an app that is not public.")
    changed = [name for name, value in fields.items() if getattr(client, name) != value]
    for name in changed:
        setattr(client, name, fields[name])
    change(client, changed, actor)


@transaction.atomic
def change(client: Client, fields: Collection[str], actor: Actor) -> None:
    """Save only the ``fields`` of ``client``, so that a simultaneous disabling is not undone.

    If the app now has a key, its secrets are deleted permanently, even if the key is removed later.

    Raises:
        ValidationError: a field of ``client`` is invalid: see :meth:`Client.clean`.
    """
    if not fields:
        return
    client.full_clean()
    client.save(update_fields=fields)
    save(client)
    if not client.has_secret:
        client.client_secrets.all().delete()
    tell(events.APP_CHANGED, f"{client.label}: {', '.join(sorted(fields))}", actor)


@transaction.atomic
def rotate_secret(
    client: Client,
    actor: Actor,
    *,
    now: bool = False,
    current: str = "",
    new: NewKey | None = None,
) -> str:
    """Create and return a new secret of ``client``. The current one expires after :data:`OVERLAP`.

    A secret that was already replaced expires at once, so that at most two are valid.

    ``now``: if True, all former secrets expire at once, because they may have leaked.
    ``current``: the id of the current secret as the caller saw it; empty if unknown.
    ``new``: the new secret; by default, a random one.

    Raises:
        NoSecret: the app has no secret.
        SecretReplaced: ``current`` is not the current secret. A form that is sent twice would
            otherwise revoke the secret that the app uses.
    """
    # If two secrets are created at the same moment, the later one must replace the earlier one.
    client = Client.objects.select_for_update(no_key=True).get(pk=client.pk)
    if not client.has_secret:
        raise NoSecret
    if current and current != current_secret(client):
        raise SecretReplaced
    former = client.client_secrets.all() if now else client.client_secrets.exclude(expires_at=None)
    former.delete()
    client.client_secrets.update(expires_at=clock.now() + OVERLAP)
    tell(events.APP_SECRET_MADE, client.label, actor)
    return _add_secret(client, actor, new)


def current_secret(client: Client) -> str:
    """Return the id of the current secret of ``client``, which is not secret itself.

    Return an empty text if the app has no secret yet, because its key was removed.
    """
    rows = client.client_secrets.filter(expires_at=None)
    return rows.values_list("pk", flat=True).first() or ""


def former_secret_ends_at(client: Client) -> datetime | None:
    """Return the time at which the former secret expires, or None if there is no former secret."""
    rows = client.client_secrets.filter(expires_at__gt=clock.now())
    return rows.values_list("expires_at", flat=True).first()


def set_enabled(client: Client, actor: Actor, *, enabled: bool) -> bool:
    """Enable or disable ``client``; return False if this changes nothing.

    A disabled app cannot authenticate by its secrets, and all its tokens end.
    """
    rows = Client.objects.filter(pk=client.pk, disabled_at__isnull=not enabled)
    with transaction.atomic():
        if not rows.update(disabled_at=None if enabled else clock.now()):
            return False
        tell(events.APP_ENABLED if enabled else events.APP_DISABLED, client.label, actor)
    if not enabled:
        # From the commit on, the app gets no new tokens, so none is missed here. This is outside of
        # the transaction to keep the transaction short.
        _end_tokens(Client.objects.filter(pk=client.pk))
    return True


def authenticate(client_id: str, secret: str) -> Client | None:
    """Return the app with this id if it is enabled and has this secret, else None."""
    if not CLIENT_SECRET.is_key(secret):
        return None
    row, client = _WITH_SECRET.firsts(secret=CLIENT_SECRET.id_of(secret), id=client_id)
    if row is None or not hmac.compare_digest(row.digest, secrets.plain_digest(secret)):
        return None
    is_over = row.expires_at is not None and row.expires_at <= clock.now()
    return None if is_over or client is None or row.client_id != client.pk else client


def find_client(client_id: str) -> Client | None:
    """Return the app with this id, even if it is disabled, or None if there is none."""
    return _BY_ID.first(id=client_id)


def find_enabled(client_id: str, kind: Q) -> Client | None:
    """Return the app with this id if it is enabled and meets the condition ``kind``; else None."""
    if uris.is_withdrawn(client_id):
        return None
    return Client.objects.filter(kind, pk=client_id, disabled_at=None).first()


def check_development(_config: Config) -> Iterator[Finding]:
    """Return the apps that are in development, as findings of the doctor."""
    rows = Client.objects.filter(is_development=True, disabled_at=None).order_by("name")
    if names := list(rows.values_list("name", flat=True)):
        yield found("apps_in_development", len(names), some(names))


def prune() -> int:
    """Delete expired secrets; return how many were deleted.

    Also end the tokens of disabled apps, in case a process was killed before it did so.
    """
    _end_tokens(Client.objects.exclude(disabled_at=None))
    return delete_in_batches(ClientSecret.objects.filter(expires_at__lte=clock.now()))


def tell(event: Event, detail: str, actor: Actor) -> None:
    """Record ``event`` in the histories of every superuser, and of ``actor`` if that is a user."""
    record_for_superusers(event, actor, detail, also=(actor.id,))


def _end_tokens(disabled: QuerySet[Client]) -> None:
    """End the codes and sessions of the apps in batches, because long statements are cancelled."""
    delete_in_batches(AuthorizationCode.objects.filter(client__in=disabled))
    rows = LoginSession.objects.filter(app_session__client__in=disabled)
    app_sessions.end(rows, events.APP_DISABLED)


def _add_secret(client: Client, actor: Actor, new: NewKey | None) -> str:
    new = new or CLIENT_SECRET.make()
    ClientSecret.objects.create(id=new.id, client=client, digest=new.digest, made_by=actor.id)
    return new.text


LARGEST = 32_768
LEAST_PIXELS, MOST_PIXELS = 32, 512
# A PNG file begins with its signature and the chunk IHDR, which contains the width and the height
# (PNG specification, sections 5.2 and 11.2.1).
START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
VERSION_DIGITS = 16


def version_of(content: bytes) -> str:
    """Return the version of the logo ``content``, which is its hash.

    Raises:
        ValidationError: ``content`` is not a square PNG file of an allowed size.
    """
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    is_logo = content.startswith(START) and LEAST_PIXELS <= width == height <= MOST_PIXELS
    if not is_logo or len(content) > LARGEST:
        sentence = gettext(
            "Choose a square PNG file of %(least)s to %(most)s pixels and at most 32 KB."
        )
        raise ValidationError(sentence % {"least": LEAST_PIXELS, "most": MOST_PIXELS})
    return sha256(content).hexdigest()[:VERSION_DIGITS]


def save(client: Client) -> None:
    """Store or delete the logo of ``client`` if ``client.new_logo`` says so."""
    if client.new_logo:
        ClientLogo.objects.update_or_create(client=client, defaults={"content": client.new_logo})
    elif client.new_logo is not None:
        ClientLogo.objects.filter(client=client).delete()


def find_logo(client_id: str, version: str) -> bytes | None:
    """Return the logo of an app as a PNG file, or None if it has no logo of this ``version``."""
    # PostgreSQL refuses the character NUL.
    if not (client_id + version).isprintable():
        return None
    rows = ClientLogo.objects.filter(client=client_id, client__logo=version)
    content = rows.values_list("content", flat=True).first()
    return None if content is None else bytes(content)

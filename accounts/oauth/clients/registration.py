"""Registration tokens, each of which lets a number of apps register themselves (RFC 7591).

RFC 7591 section 1.2 calls them initial access tokens. Operators create them by the command
``registration_token``. Only a digest of the text of a token is stored.

Apps cannot read, change or delete their registration (RFC 7592). Superusers change or disable the
app in the admin instead.
"""

import hmac
import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock, secrets
from accounts.common.client_info import client_of, header_of
from accounts.common.database import BATCH, delete_in_batches
from accounts.common.secrets import REGISTRATION, NewKey
from accounts.oauth import scopes
from accounts.oauth.clients import metadata as client_metadata
from accounts.oauth.clients import services
from accounts.oauth.clients.models import Client, RegistrationToken
from accounts.oauth.protocol import OAuthError, TokenMissing, answers, success
from accounts.throttle.limits import UNGUESSABLE
from accounts.throttle.services import around, hit
from accounts.tokens.errors import InvalidToken

MOST_CLIENTS, MOST_DAYS = 1000, 365
# An app expires if nobody signs in to it within this time after its registration.
UNUSED_LIFE = timedelta(days=7)


@transaction.atomic
def make(
    count: int,
    expires_at: datetime,
    scope: Collection[str],
    audiences: list[str],
    actor: Actor,
    *,
    new: NewKey | None = None,
) -> tuple[RegistrationToken, str]:
    """Create a token that may register ``count`` apps; return it and its text.

    ``scope``: the scopes that these apps may request, in addition to ``openid``.
    ``new``: the text of the token; by default, a random one.

    All superusers are notified.

    Raises:
        ValidationError: the number of apps is too large, or the lifetime too long.
    """
    if not 1 <= count <= MOST_CLIENTS:
        raise ValidationError(f"A token is for 1 to {MOST_CLIENTS} apps.")
    if not timedelta(0) < expires_at - clock.now() <= timedelta(days=MOST_DAYS):
        raise ValidationError(f"A token expires in at most {MOST_DAYS} days.")
    new = new or REGISTRATION.make()
    token = RegistrationToken.objects.create(
        id=new.id,
        digest=new.digest,
        clients_left=count,
        scope=" ".join(name for name in scopes.known() if name in {"openid", *scope}),
        audiences=audiences,
        expires_at=expires_at,
    )
    services.tell(events.REGISTRATION_TOKEN_MADE, str(token), actor)
    return token, new.text


def find_token(text: str) -> RegistrationToken | None:
    """Return the token with this text if it can register another app, else None."""
    if not REGISTRATION.is_key(text):
        return None
    token = RegistrationToken.objects.filter(
        _live(clock.now()), pk=REGISTRATION.id_of(text)
    ).first()
    is_right = token and hmac.compare_digest(token.digest, secrets.plain_digest(text))
    return token if is_right else None


@transaction.atomic
def _register(client: Client, token: RegistrationToken, actor: Actor) -> str:
    """Save the new app ``client``; return its secret, or an empty text if it has none.

    The app expires after :data:`UNUSED_LIFE` if nobody signs in to it before.

    Raises:
        InvalidToken: the token was used up or revoked meanwhile, or has expired.
    """
    rows = RegistrationToken.objects.filter(_live(clock.now()), pk=token.pk)
    if not rows.update(clients_left=F("clients_left") - 1):
        raise InvalidToken
    client.registered_with = str(token)
    client.expires_at = clock.now() + UNUSED_LIFE
    # The audience may have been removed from the settings after the token was created. An app with
    # pairwise identifiers can have no audience.
    granted = [] if client.sector else token.audiences
    client.audiences = [name for name in scopes.audiences() if name in granted]
    return services.create(client, actor)


def keep(client: Client) -> bool:
    """Record that somebody signs in to ``client``; return False if it has expired or is deleted.

    Call this in the transaction of the sign-in. The app then never expires.
    """
    if client.expires_at is None:
        return True
    is_live = Q(expires_at=None) | Q(expires_at__gt=clock.now())
    return bool(Client.objects.filter(is_live, pk=client.pk).update(expires_at=None))


@transaction.atomic
def revoke(token: RegistrationToken, actor: Actor) -> bool:
    """Delete ``token`` but not its apps; return False if it was already deleted."""
    if not RegistrationToken.objects.filter(pk=token.pk).delete()[0]:
        return False
    services.tell(events.REGISTRATION_TOKEN_REVOKED, str(token), actor)
    return True


def prune() -> int:
    """Delete used-up and expired tokens; return how many were deleted."""
    return delete_in_batches(RegistrationToken.objects.exclude(_live(clock.now())))


def prune_clients() -> int:
    """Delete expired apps; return how many were deleted.

    Client IDs are random, so none is reused.
    """
    # Requests that began before an app expired may still store rows about it.
    rows = Client.objects.filter(expires_at__lte=clock.now() - timedelta(hours=1))
    count = 0
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        count += Client.objects.filter(pk__in=ids).delete()[1]["oauth.Client"]
    return count


def _live(now: datetime) -> Q:
    return Q(clients_left__gt=0, expires_at__gt=now)


JSON = "application/json"


@answers("POST")
def register(request: HttpRequest) -> HttpResponse:
    """Register an app; return its client ID, its secret, and its metadata as stored."""
    here = client_of(request)
    scheme, text = header_of(request)
    if scheme != "bearer":
        raise TokenMissing
    token = find_token(text)
    if token is None:
        hit(*around(UNGUESSABLE, here, "client"))
        raise InvalidToken
    metadata = _metadata_in(request)
    client = client_metadata.read(metadata, [s for s in scopes.known() if s in token.scope.split()])
    secret = _register(client, token, Actor(here))
    given: dict[str, Any] = {
        "client_id": client.pk,
        "client_id_issued_at": int(client.created_at.timestamp()),
        **client_metadata.written(client, metadata),
    }
    if secret:
        given |= {"client_secret": secret, "client_secret_expires_at": 0}
    return success(given, status=201)


def _metadata_in(request: HttpRequest) -> Any:
    """Return the parsed JSON body of ``request``.

    Raises:
        OAuthError: the body is not JSON.
    """
    try:
        if request.content_type == JSON:
            return json.loads(request.body)
    except (ValueError, RecursionError):
        pass
    raise OAuthError("invalid_client_metadata", f"Send the metadata in the body, as {JSON}.")

"""Remembers which refreshes were allowed, so that the next one needs only one statement.

``token_views`` decides from the rows of an app and a session whether the app may refresh. If they
still have the same values at the next refresh, the decision is the same. Therefore the UPDATE that
replaces the refresh token compares the values, checks the secret of the app, and is the only
statement. If it changes no row, ``token_views`` decides again.
"""

import json
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from accounts.common.client_info import ClientInfo
from accounts.common.config import Config
from accounts.common.key_text import digest
from accounts.common.prepared import P, named
from accounts.oauth import clients
from accounts.oauth.models import SECRET, Client
from accounts.sessions.models import LoginSession
from accounts.tokens import families
from accounts.tokens.families import Rotation

# The most apps that a process remembers. If there are more, it forgets all.
MOST = 1024


class _Allowed(NamedTuple):
    """The values that a refresh was allowed for, and the scope that was granted."""

    app_scope: str
    app_audiences: str
    scope: str
    audience: str
    config: Config
    granted: frozenset[str]


# The last refresh that was allowed to each app.
_allowed: dict[str, _Allowed] = {}


def note(client: Client, session: LoginSession, granted: frozenset[str]) -> None:
    """Remember that ``client`` may refresh the tokens of ``session``, and gets ``granted``.

    Call this for a refresh that names neither a scope nor a resource. Refreshes that also depend on
    the person, a factor or a key are not remembered.
    """
    is_open = not (client.factor or client.required_group_id or session.dpop_thumbprint)
    if not is_open or "groups" in granted:
        return
    if len(_allowed) >= MOST:
        _allowed.clear()
    audiences = json.dumps(client.audiences)
    values = (client.scope, audiences, session.scope, session.audience, settings.AUTHSITE)
    _allowed[client.pk] = _Allowed(*values, granted)


def repeat(
    client_id: str, secret: str, token: str, info: ClientInfo
) -> tuple[LoginSession, str, frozenset[str]] | None:
    """Replace ``token`` if a remembered decision allows the app to do so.

    Return the session, the new refresh token and the granted scope. Otherwise, change nothing and
    return None.
    """
    allowed = _allowed.get(client_id)
    if allowed is None or allowed.config is not settings.AUTHSITE:
        return None
    values = {"secret": SECRET.id_of(secret), "secret_digest": digest(secret)}
    values |= {"app_scope": allowed.app_scope, "app_audiences": allowed.app_audiences}
    values |= {"scope": allowed.scope, "audience": allowed.audience}
    kind = LoginSession.Kind.CONNECTED
    rotated = families.rotate_newest(token, info, kind, app=client_id, by=_repeating(), **values)
    return (*rotated, allowed.granted) if rotated else None


def _unchanged() -> QuerySet[Client]:
    """Return the app if it has the secret and nothing has changed that the decision depends on."""
    is_valid = Q(client_secrets__expires_at=None) | Q(client_secrets__expires_at__gt=P("now"))
    apps = Client.objects.annotate(services=Cast("audiences", TextField()))
    return apps.filter(
        clients.HAS_SECRET,
        is_valid,
        client_secrets__pk=P("secret"),
        client_secrets__digest=P("secret_digest"),
        pk=P("app"),
        scope=P("app_scope"),
        services=P("app_audiences"),
        factor=Client.Factor.NONE,
        required_group=None,
        requires_dpop=False,
    )


@cache
def _repeating() -> Rotation:
    condition, constants = named(_unchanged().values("pk"))
    return Rotation(
        *families.OF_APP,
        condition="o.scope = %(scope)s AND o.audience = %(audience)s AND o.dpop_thumbprint = '' "
        f"AND EXISTS ({condition})",
        constants=constants,
    )

"""Authorization codes: issues them, and redeems each of them once (RFC 6749 section 4.1)."""

from datetime import timedelta
from hashlib import sha256
from typing import cast

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common import clock, crypto, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.database import (
    P,
    PreparedInsert,
    PreparedQueries,
    PreparedQuery,
    PreparedUpdate,
)
from accounts.oauth import app_sessions, connections
from accounts.oauth.clients.models import Client
from accounts.oauth.decisions import OFFLINE
from accounts.oauth.models import AuthorizationCode, AuthorizationRequest
from accounts.oauth.protocol import OAuthError
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession, is_live
from accounts.users.models import User

_INSERT = PreparedInsert(AuthorizationCode)
# The fields that a code copies from its request.
_ASKED = ("redirect_uri", "code_challenge", "dpop_jkt", "nonce", "scope", "audience")


def _of_client() -> QuerySet[AuthorizationCode]:
    return AuthorizationCode.objects.filter(
        digest=P("digest"),
        client=P("client"),
        redirect_uri=P("redirect_uri"),
        code_challenge=P("code_challenge"),
    )


# A query for a code, its user and its browser session.
_FOUND = PreparedQueries(
    PreparedQuery(_of_client),
    PreparedQuery(lambda: User.objects.filter(pk__in=_of_client().values("user"))),
    PreparedQuery(lambda: LoginSession.objects.filter(pk__in=_of_client().values("session"))),
)
_UNCHANGED = User.objects.filter(
    pk=OuterRef("user_id"), is_active=True, credential_version=OuterRef("version")
)
_LIVE = LoginSession.objects.filter(is_live(P("now")), pk=OuterRef("session_id"))
_IS_VALID = Q(Exists(_UNCHANGED), used_at=None, expires_at__gt=P("now"))
_MARK_USED = PreparedUpdate(
    lambda: _of_client().filter(_IS_VALID, Exists(_LIVE)),
    used_at=P("now"),
    given=P("given"),
)


def issue(asked: AuthorizationRequest, session: LoginSession) -> str:
    """Return a new authorization code for the client of ``asked`` and the user of ``session``.

    If ``asked`` is the request of a device, return an empty string: the device can now redeem its
    device code.

    Call this in the transaction that deletes ``asked``.
    """
    code, life = secrets.token(), timedelta(seconds=settings.AUTHSITE.code_seconds)
    digest, expires_at = secrets.plain_digest(code), clock.now() + life
    if asked.device:
        code, digest, expires_at = "", asked.device.digest, asked.device.expires_at
    row = AuthorizationCode(
        digest=digest,
        client_id=asked.client_id,
        user_id=session.user_id,
        version=session.user.credential_version,
        session=session,
        expires_at=expires_at,
        **{name: getattr(asked, name) for name in _ASKED},
    )
    _INSERT.run(row)
    return code


def get(
    code: str, client: Client, redirect_uri: str = "", code_challenge: str = ""
) -> AuthorizationCode:
    """Return the row of ``code`` if it was issued to ``client``, even if it was already used.

    ``redirect_uri``: empty for a device code.
    ``code_challenge``: the challenge for the verifier; empty without a verifier. If the code has no
        challenge but a verifier is sent, the code is refused: somebody has removed the challenge
        from the request of the app (RFC 9700 section 4.8.2).

    Raises:
        OAuthError: ``invalid_grant``: the code is unknown, or was issued for another client,
            redirect URI or challenge.
    """
    held, user, session = _FOUND.firsts(
        digest=secrets.plain_digest(code),
        client=client.pk,
        redirect_uri=redirect_uri,
        code_challenge=code_challenge,
    )
    if held is None:
        raise _refused()
    session.user = user
    held.client, held.user, held.session = client, user, session
    return cast(AuthorizationCode, held)


def redeem(held: AuthorizationCode, info: ClientInfo, key: str = "") -> str:
    """Use up the code ``held``, and set ``held.given`` to the new session of the app.

    Return a refresh token if the scope has ``offline_access``, else an empty string.

    ``key``: the thumbprint of the key to which the tokens will be bound, or an empty string.

    If the code was used before, somebody may have copied it. The session that came from it is then
    revoked, and the user is notified (RFC 9700 section 4.5.3). A stranger cannot cause that:
    :func:`get` refuses callers that lack the verifier or authenticate as another client.

    A second use of a device code is only refused: the code never passes a browser, and a device
    that got no response repeats its request.

    Raises:
        OAuthError: ``invalid_grant``: the code was used before or has expired, the browser session
            has ended, or the account was changed.
    """
    refresh_token = _begin_session(held, info, key)
    if refresh_token is None:
        if not held.is_of_device:
            _revoke_given(held, Actor(info))
        raise _refused()
    return refresh_token


def code_challenge_of(verifier: str) -> str:
    """Return the challenge for ``verifier`` by the method S256 (RFC 7636 section 4.2).

    Without a verifier, there is no challenge: both are empty.
    """
    return crypto.encode(sha256(verifier.encode()).digest()) if verifier else ""


@transaction.atomic
def _begin_session(held: AuthorizationCode, info: ClientInfo, key: str) -> str | None:
    """Use up the code ``held``, insert the session of the app, and return the refresh token.

    Return an empty string if the scope has no ``offline_access``, and None if the code was used or
    has expired, the browser session has ended, or the account has changed.
    """
    # Code that ends sessions takes one of these locks. If it runs first, the UPDATE below matches
    # no row; if it runs later, it ends the new session, too.
    app_sessions.lock_parent(held.session_id)
    is_offline = OFFLINE in held.scope.split()
    new = app_sessions.new(
        held.session, held.client_id, held.scope, held.audience, is_offline=is_offline
    )
    given = new.session
    given.dpop_thumbprint = key
    if held.is_of_device:  # for other apps, a server may call
        given.agent, given.ip = info.user_agent, info.ip
        given.browser, given.system = info.device.browser, info.device.system
    values = {"client": held.client_id, "redirect_uri": held.redirect_uri}
    values |= {"digest": held.digest, "code_challenge": held.code_challenge}
    # If a code is redeemed several times at once, this UPDATE decides which request succeeds.
    if not _MARK_USED.run(**values, now=clock.now(), given=given.pk):
        return None
    given.pairwise_subject = connections.make_pairwise(held.client, held.user)
    app_sessions.insert(new)
    app_sessions.make_room(new, held.client, Actor(info))
    held.given = given
    return new.refresh_token


def _revoke_given(held: AuthorizationCode, actor: Actor) -> None:
    """Revoke the session that the app got for the code ``held``, if there is one."""
    given = LoginSession.objects.select_related("user").filter(
        pk__in=AuthorizationCode.objects.filter(pk=held.pk).values("given")
    )
    for session in given:
        sessions.revoke(session, reason=events.CODE_REUSED, actor=actor, detail=str(session))


def _refused() -> OAuthError:
    return OAuthError("invalid_grant", "The code is invalid, expired, used or for another client.")

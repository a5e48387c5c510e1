"""Determines how a request is authenticated, and in which session.

The result is determined once for each request, when it is first needed: see
:func:`request_auth_of`.
"""

from dataclasses import dataclass, replace
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common.client_info import client_of
from accounts.sessions import protection, services
from accounts.sessions.models import LoginSession
from accounts.sessions.protection import Verdict
from accounts.sessions.store import SessionStore
from accounts.users.models import User

ATTRIBUTE = "_request_auth"


@dataclass(frozen=True)
class RequestAuth:
    """How a request is authenticated.

    ``presented``: the session that the cookie or access token belongs to, or None.
    ``needs_reauthentication``: whether the cookie is valid, but does not come from the browser
        that signed in, so that the user must reauthenticate.
    ``is_revoked``: whether the site revoked the session because of this request.
    ``by``: how an API request without a session is authenticated: ``pwd`` or ``api_key``.
    ``key``: the label of the API key, if one was used.
    """

    presented: LoginSession | None = None
    needs_reauthentication: bool = False
    is_revoked: bool = False
    by: str = ""
    key: str = ""

    @property
    def session(self) -> LoginSession | None:
        """The session in which the request is signed in, or None."""
        return None if self.needs_reauthentication else self.presented


def request_auth_of(request: HttpRequest) -> RequestAuth:
    """Return how ``request`` is authenticated.

    The first call for a request determines this. Later calls return the stored result.
    """
    request_auth = getattr(request, ATTRIBUTE, None)
    if not isinstance(request_auth, RequestAuth):
        request_auth = _authenticate(request)
        setattr(request, ATTRIBUTE, request_auth)
    return request_auth


def session_of(request: HttpRequest) -> LoginSession:
    """Return the session in which ``request`` is signed in.

    Raises:
        LookupError: the request is not signed in.
    """
    session = request_auth_of(request).session
    if session is None:
        raise LookupError
    return session


def user_of(request: HttpRequest) -> User | AnonymousUser:
    """Return the signed-in user of ``request``, or ``AnonymousUser``."""
    session = request_auth_of(request).session
    return session.user if session else AnonymousUser()


def actor_of(request: HttpRequest) -> Actor:
    """Return the actor of ``request`` for the security history: its client, session and proof."""
    request_auth = request_auth_of(request)
    session = request_auth.presented
    session_id = session.pk if session else None
    return Actor(
        client_of(request), session=session_id, proof=request_auth.by, key=request_auth.key
    )


def staff_of(request: HttpRequest) -> Actor:
    """Return the actor of ``request``, with the username of the member of staff who makes it."""
    return replace(actor_of(request), name=request.user.get_username())


def actor_without_session_of(request: HttpRequest) -> Actor:
    """Return the actor of a request to a page that was opened with an emailed link.

    The actor has no session, because the browser may be signed in as another user.
    """
    return Actor(client_of(request))


def browser_session_of(request: HttpRequest) -> SessionStore:
    """Return ``request.session``, typed as this site's ``SessionStore``."""
    return cast(SessionStore, request.session)


def renew_key(request: HttpRequest) -> None:
    """Replace the session key of the browser and save the session immediately.

    Copies of the previous session cookie are no longer valid afterwards.
    """
    request.session.cycle_key()
    request.session.save()


def set_session(request: HttpRequest, session: LoginSession) -> None:
    """Sign in the browser of ``request``. From this request on, it uses ``session``."""
    browser_session_of(request).login_session = session
    request.user = session.user
    setattr(request, ATTRIBUTE, RequestAuth(session))


def set_api_auth(request: HttpRequest, request_auth: RequestAuth) -> None:
    """Record how an API request is authenticated."""
    setattr(request, ATTRIBUTE, request_auth)


def forget(request: HttpRequest, user: User) -> None:
    """Sign the browser of ``request`` out if it is signed in as ``user``.

    Call this after all sessions of ``user`` have been revoked.
    """
    if (session := browser_session_of(request).login_session) and session.user == user:
        request.session.flush()
        clear_session(request)


def clear_session(request: HttpRequest) -> None:
    """Make ``request`` anonymous after its session has ended."""
    request.user = AnonymousUser()
    setattr(request, ATTRIBUTE, RequestAuth())


def _authenticate(request: HttpRequest) -> RequestAuth:
    session = browser_session_of(request).login_session
    if session is None or not session.user.is_active:
        return RequestAuth()
    client = client_of(request)
    actor = Actor(client, session=session.pk)
    verdict = protection.judge(session, client)
    if verdict is Verdict.SAME:
        services.note_use(session, client)
        return RequestAuth(session)
    if verdict is Verdict.PROVE:
        services.require_reauthentication(session, actor)
        return RequestAuth(session, needs_reauthentication=True)
    services.revoke(session, reason=events.SESSION_STOPPED, actor=actor)
    request.session.flush()
    return RequestAuth(is_revoked=True)

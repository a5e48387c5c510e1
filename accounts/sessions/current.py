"""Finds the session of a request, and decides whether it signs the request in.

A request is authenticated once, when it is first needed: see :func:`request_auth_of`.
"""

from dataclasses import dataclass
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

    ``presented`` is the session of the request's cookie or access token. ``needs_reauthentication``
    is set if the cookie is valid but another browser sent it. ``is_revoked`` is set if this request
    made the site revoke the session. An API request without a session has ``by``, the method (a
    password or an API key), and ``key``, the public beginning of the API key.
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
    """Return how ``request`` is authenticated. Each request is examined only once."""
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
    """Return who makes ``request`` and from where, for the security history."""
    request_auth = request_auth_of(request)
    session = request_auth.presented
    session_id = session.pk if session else None
    return Actor(
        client_of(request), session=session_id, proof=request_auth.by, key=request_auth.key
    )


def actor_without_session_of(request: HttpRequest) -> Actor:
    """Return the actor of a request that is made through a mailed link.

    The session is left out, because the browser may be signed in as another person.
    """
    return Actor(client_of(request))


def browser_session_of(request: HttpRequest) -> SessionStore:
    """Return ``request.session``, typed as this site's ``SessionStore``."""
    return cast(SessionStore, request.session)


def renew_key(request: HttpRequest) -> None:
    """Replace the browser's session key and save the session at once.

    A copy of the previous cookie is worthless afterwards.
    """
    request.session.cycle_key()
    request.session.save()


def enter(request: HttpRequest, session: LoginSession) -> None:
    """Sign this request and its browser in to ``session``."""
    browser_session_of(request).login_session = session
    request.user = session.user
    setattr(request, ATTRIBUTE, RequestAuth(session))


def call_as(
    request: HttpRequest, session: LoginSession | None, *, by: str = "", key: str = ""
) -> None:
    """Record how an API request is authenticated: by ``session``, or by another method.

    ``by`` is the ``amr`` value of a password or an API key, ``key`` the label of the API key.
    """
    setattr(request, ATTRIBUTE, RequestAuth(session, by=by, key=key))


def forget(request: HttpRequest, user: User) -> None:
    """Sign the browser out if it was signed in as ``user``.

    Call this after all sessions of ``user`` have been revoked.
    """
    if (session := browser_session_of(request).login_session) and session.user == user:
        request.session.flush()
        leave(request)


def leave(request: HttpRequest) -> None:
    """Make ``request`` anonymous, because its session has ended."""
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

"""Who is signed in at a request: read off the login session, once, and judged before it counts."""

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

    ``presented`` is the session of its cookie or access token. With ``needs_reauthentication`` the
    cookie is valid, but another browser sent it. ``is_revoked``: such a session was revoked at this
    request. ``by`` is the method of an API request without a session (a password or an API key),
    ``key`` the public beginning of the API key.
    """

    presented: LoginSession | None = None
    needs_reauthentication: bool = False
    is_revoked: bool = False
    by: str = ""
    key: str = ""

    @property
    def session(self) -> LoginSession | None:
        """The session in which this request is signed in."""
        return None if self.needs_reauthentication else self.presented


def request_auth_of(request: HttpRequest) -> RequestAuth:
    """Return how ``request`` is authenticated; determined once for each request."""
    request_auth = getattr(request, ATTRIBUTE, None)
    if not isinstance(request_auth, RequestAuth):
        request_auth = _authenticate(request)
        setattr(request, ATTRIBUTE, request_auth)
    return request_auth


def session_of(request: HttpRequest) -> LoginSession:
    """The login session of a signed-in request; ``LookupError`` for any other."""
    session = request_auth_of(request).session
    if session is None:
        raise LookupError
    return session


def user_of(request: HttpRequest) -> User | AnonymousUser:
    """``request.user``."""
    session = request_auth_of(request).session
    return session.user if session else AnonymousUser()


def actor_of(request: HttpRequest) -> Actor:
    """Who asks, as the history tells it."""
    request_auth = request_auth_of(request)
    session = request_auth.presented
    session_id = session.pk if session else None
    return Actor(
        client_of(request), session=session_id, proof=request_auth.by, key=request_auth.key
    )


def actor_without_session_of(request: HttpRequest) -> Actor:
    """Return where a mailed link was opened; the session there may be another person's."""
    return Actor(client_of(request))


def browser_session_of(request: HttpRequest) -> SessionStore:
    """The browser's session, as what it is."""
    return cast(SessionStore, request.session)


def renew_key(request: HttpRequest) -> None:
    """Give the browser's session another key, at once: a copy of the former is dead."""
    request.session.cycle_key()
    request.session.save()


def enter(request: HttpRequest, session: LoginSession) -> None:
    """Put this request and its browser's session into ``session``."""
    browser_session_of(request).login_session = session
    request.user = session.user
    setattr(request, ATTRIBUTE, RequestAuth(session))


def call_as(
    request: HttpRequest, session: LoginSession | None, *, by: str = "", key: str = ""
) -> None:
    """Note by what a call of the API is made: in ``session``, or ``by`` a password or a ``key``."""
    setattr(request, ATTRIBUTE, RequestAuth(session, by=by, key=key))


def forget(request: HttpRequest, user: User) -> None:
    """If this browser was signed in as ``user``, whose sessions have all ended: it's a stranger."""
    if (session := browser_session_of(request).login_session) and session.user == user:
        request.session.flush()
        leave(request)


def leave(request: HttpRequest) -> None:
    """The request has no login session any more."""
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

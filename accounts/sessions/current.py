"""Who is signed in at a request: read off the login session, once, and judged before it counts."""

from dataclasses import dataclass
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from accounts.activity.services import Actor
from accounts.common.client_info import client_of
from accounts.sessions import protection, services
from accounts.sessions.models import LoginSession
from accounts.sessions.protection import Verdict
from accounts.sessions.store import SessionStore
from accounts.users.models import User

ATTRIBUTE = "_standing"


@dataclass(frozen=True)
class Standing:
    """``login``: signed in there. ``suspended``: could be, after a proof. ``is_stopped``: was.

    ``by`` is what a call of the API is made by that is made in no sign-in; ``key`` names the API
    key, if it's one.
    """

    login: LoginSession | None = None
    suspended: LoginSession | None = None
    is_stopped: bool = False
    by: str = ""
    key: str = ""


def standing_of(request: HttpRequest) -> Standing:
    """How this request stands; found out once."""
    standing = getattr(request, ATTRIBUTE, None)
    if not isinstance(standing, Standing):
        standing = _judge(request)
        setattr(request, ATTRIBUTE, standing)
    return standing


def login_of(request: HttpRequest) -> LoginSession:
    """The login session of a signed-in request; ``LookupError`` for any other."""
    login = standing_of(request).login
    if login is None:
        raise LookupError
    return login


def user_of(request: HttpRequest) -> User | AnonymousUser:
    """``request.user``."""
    login = standing_of(request).login
    return login.user if login else AnonymousUser()


def actor_of(request: HttpRequest) -> Actor:
    """Who asks, as the history tells it."""
    standing = standing_of(request)
    login = standing.login or standing.suspended
    session = login.pk if login else None
    return Actor(client_of(request), session=session, proof=standing.by, key=standing.key)


def actor_without_session_of(request: HttpRequest) -> Actor:
    """Return where a mailed link was opened; the session there may be another person's."""
    return Actor(client_of(request))


def session_of(request: HttpRequest) -> SessionStore:
    """The browser's session, as what it is."""
    return cast(SessionStore, request.session)


def renew_key(request: HttpRequest) -> None:
    """Give the browser's session another key, at once: a copy of the former is dead."""
    request.session.cycle_key()
    request.session.save()


def enter(request: HttpRequest, login: LoginSession) -> None:
    """Put this request and its browser's session into ``login``."""
    session_of(request).login = login
    request.user = login.user
    setattr(request, ATTRIBUTE, Standing(login=login))


def call_as(
    request: HttpRequest, login: LoginSession | None, *, by: str = "", key: str = ""
) -> None:
    """Note by what a call of the API is made: in ``login``, or ``by`` a password or a ``key``."""
    setattr(request, ATTRIBUTE, Standing(login=login, by=by, key=key))


def forget(request: HttpRequest, user: User) -> None:
    """If this browser was signed in as ``user``, whose sessions have all ended: it's a stranger."""
    if (login := session_of(request).login) and login.user == user:
        request.session.flush()
        leave(request)


def leave(request: HttpRequest) -> None:
    """The request has no login session any more."""
    request.user = AnonymousUser()
    setattr(request, ATTRIBUTE, Standing())


def _judge(request: HttpRequest) -> Standing:
    login = session_of(request).login
    if login is None or not login.user.is_active:
        return Standing()
    client = client_of(request)
    actor = Actor(client, session=login.pk)
    verdict = protection.judge(login, client)
    if verdict is Verdict.SAME:
        services.note_use(login, client)
        return Standing(login=login)
    if verdict is Verdict.PROVE:
        services.challenge(login, actor)
        return Standing(suspended=login)
    services.stop(login, actor)
    request.session.flush()
    return Standing(is_stopped=True)

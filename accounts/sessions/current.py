"""Determines how a request is authenticated, and in which session; sets ``request.user``.

The result is determined once for each request, when it is first needed: see
:func:`request_auth_of`.

Session protection: a session can be used only by the browser that signed in, so that a copied
cookie alone is not enough. ``SESSION_PROTECTION_NETWORK`` also requires the same network. Session
protection only makes an attack harder, because a thief who copies a cookie can copy the User-Agent
as well. Sessions also expire, and users can revoke them.

Only the browser that had a session is told why it was signed out: it must send the last session
key, and pass the session protection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import middleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo, client_of
from accounts.sessions import known_browsers, last_method, services
from accounts.sessions.models import LoginSession
from accounts.sessions.store import SessionStore, digest
from accounts.users.models import User

RECENT = timedelta(minutes=10)
# Opening a form requires more recent authentication, so that the user has enough time to fill the
# form in.
RECENT_TO_OPEN = timedelta(minutes=5)


def redirect_to_reauthenticate(request: HttpRequest, *, back: str = "") -> HttpResponseRedirect:
    """Redirect to the reauthentication page, which then redirects to ``back``.

    If ``back`` is empty, it redirects to the URL of ``request``.
    """
    return redirect_to_login(back or request.get_full_path(), reverse("account_reauthenticate"))


def accepts(session: LoginSession, client: ClientInfo) -> bool:
    """Return whether ``SESSION_PROTECTION`` lets ``client`` use ``session``.

    A new version of a browser counts as the same browser. The middleware has already determined the
    IP address, so a forged ``X-Forwarded-For`` has no effect.
    """
    config = settings.AUTHSITE
    if config.session_protection == "off":
        return True
    # Parsing a User-Agent is slow, so compare the strings first.
    if client.user_agent != session.agent and client.device != session.device:
        return False
    network = ClientInfo(session.ip, session.agent).network
    return config.session_protection_network == "off" or client.network == network


ATTRIBUTE = "_request_auth"


@dataclass(frozen=True)
class RequestAuth:
    """How a request is authenticated.

    ``presented``: the session of the cookie or access token, or None.
    ``needs_reauthentication``: whether the cookie is valid, but is not from the browser that signed
        in, so that the user must reauthenticate.
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


def known_user_id(request: HttpRequest) -> UUID | None:
    """Return the id of the signed-in user; None if this request has not determined the user yet.

    Error pages call this, because the database may be the cause of the error.
    """
    session = getattr(request, ATTRIBUTE, RequestAuth()).session
    return session.user_id if session else None


def actor_of(request: HttpRequest) -> Actor:
    """Return the actor of ``request`` for the security history: its client, session and proof."""
    request_auth = request_auth_of(request)
    session = request_auth.presented
    session_id = session.pk if session else None
    return Actor(
        client_of(request), session=session_id, proof=request_auth.by, key=request_auth.key
    )


def staff_of(request: HttpRequest, reason: str = "") -> Actor:
    """Return the actor of a request by staff. ``reason``: the reason that the person gives."""
    return actor_of(request).as_staff(cast(User, request.user), reason)


def actor_without_session_of(request: HttpRequest) -> Actor:
    """Return the actor of a request for a page that was opened by an emailed link.

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
    """Sign the browser of ``request`` out if ``user`` is signed in there.

    Call this after all sessions of ``user`` have been revoked.
    """
    if (session := browser_session_of(request).login_session) and session.user == user:
        request.session.flush()
        clear_session(request)


def clear_session(request: HttpRequest) -> None:
    """Make ``request`` anonymous because its session has ended."""
    request.user = AnonymousUser()
    setattr(request, ATTRIBUTE, RequestAuth())


def _authenticate(request: HttpRequest) -> RequestAuth:
    session = browser_session_of(request).login_session
    if session is None or not session.user.is_active:
        return RequestAuth()
    client = client_of(request)
    if accepts(session, client):
        services.note_use(session, client)
        return RequestAuth(session)
    actor = Actor(client, session=session.pk)
    if settings.AUTHSITE.session_protection != "strong":
        services.require_reauthentication(session, actor)
        return RequestAuth(session, needs_reauthentication=True)
    services.revoke(session, reason=events.SESSION_STOPPED, actor=actor)
    request.session.flush()
    return RequestAuth(is_revoked=True)


_PASSWORD = _("You were signed out because your password was changed.")
_ELSEWHERE = _("Another browser signed you out.")
REASONS: dict[str, str | Promise] = {
    events.PASSWORD_CHANGED.name: _PASSWORD,
    events.PASSWORD_RESET.name: _PASSWORD,
    events.PASSWORD_SET.name: _PASSWORD,
    events.SESSION_ENDED.name: _ELSEWHERE,
    events.OTHERS_ENDED.name: _ELSEWHERE,
    events.ALL_ENDED.name: _("The operator of this site signed you out."),
    events.ENDED_BY_STAFF.name: _("The staff of this site signed you out."),
    events.LOCKED_DOWN.name: _("You were signed out because your account was locked."),
    events.DELETION_REQUESTED.name: _(
        "You were signed out because someone asked to delete your account."
    ),
    events.SESSION_ENDED_BY_LIMIT.name: _(
        "You were signed out because you were signed in with too many browsers and programs."
    ),
}
OTHER = _("You were signed out because your sign-in settings were changed.")

# The user knows these reasons, or another page shows them.
UNTOLD = ("", events.SIGNED_OUT.name, events.SESSION_STOPPED.name)


def sign_out_reason_of(request: HttpRequest) -> str:
    """Return a sentence that explains why the browser was signed out; empty if there is none."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return ""
    rows = LoginSession.objects.filter(ended_key=digest(key), user__is_active=True)
    session = rows.exclude(ended_by__in=UNTOLD).first()
    if session is None or not accepts(session, client_of(request)):
        return ""
    return str(REASONS.get(session.ended_by, OTHER))


class AuthenticationMiddleware(middleware.AuthenticationMiddleware):
    """Set ``request.user`` to the user of the request's session."""

    def process_request(self, request: HttpRequest) -> None:
        user: Any = SimpleLazyObject(lambda: user_of(request))
        request.user = user
        request.auser = partial(sync_to_async(user_of), request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """After a sign-in, set the cookies that identify the browser and the sign-in method."""
        known_browsers.set_cookie(request, response)
        last_method.set_cookie(request, response)
        return response


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Require a sign-in for every view that is not marked ``login_not_required``."""

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseRedirect:
        """Redirect to the sign-in page, or to the reauthentication page if that is required."""
        request_auth = request_auth_of(request)
        if request_auth.needs_reauthentication:
            return redirect_to_reauthenticate(request)
        if request_auth.is_revoked:
            sentence = gettext(
                "You were signed out because this isn’t the browser that you signed in with."
            )
            messages.warning(request, sentence)
        elif reason := sign_out_reason_of(request):
            messages.warning(request, reason)
        return super().handle_no_permission(request, view_func)

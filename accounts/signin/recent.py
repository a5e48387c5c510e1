"""Requires recent authentication for sensitive actions (ASVS 7.5.1).

``signin.policy`` decides which proofs count. ``sessions.current`` defines how long
authentication stays recent.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from accounts.sessions import current
from accounts.sessions.current import request_auth_of, session_of
from accounts.signin import policy

SAFE_METHODS = ("GET", "HEAD")
# The page that asks a signed-in user to sign out and to sign in again.
ANEW = "accounts/signin/anew.html"

NEW_FACTOR = "accounts/signin/new_factor.html"

type View = Callable[..., HttpResponseBase]


def has_recent_authentication(request: HttpRequest, *, acts: bool = False) -> bool:
    """Return whether authentication is recent enough for the sensitive action of the request.

    ``acts``: whether a GET request is the action itself, such as the redirect from a provider.
        Otherwise, a GET request only opens the form of the action.
    """
    session = request_auth_of(request).session
    is_opening = request.method in SAFE_METHODS and not acts
    return session is not None and policy.is_recent(session, is_opening=is_opening)


def reauthenticate_first(request: HttpRequest) -> HttpResponse | None:
    """Return a redirect to the reauthentication page, or None if authentication is recent."""
    return (
        None if has_recent_authentication(request) else current.redirect_to_reauthenticate(request)
    )


def refuse_new_factor(request: HttpRequest) -> HttpResponse:
    """Return the page that explains when the new second factor of the session will count."""
    context = vars(policy.new_factor(session_of(request))) | {"back": request.get_full_path()}
    return render(request, NEW_FACTOR, context, status=403)


def recent_authentication_required(view: View) -> View:
    """Decorate a view: redirect to the reauthentication page if authentication is not recent."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return reauthenticate_first(request) or view(request, *args, **kwargs)

    return wrapped

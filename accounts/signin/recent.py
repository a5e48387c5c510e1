"""Recent authentication: before a sensitive act the person must reauthenticate (ASVS 7.5.1).

``signin.policy`` decides by which methods, and how long ago is recent.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accounts.sessions import reauthentication
from accounts.sessions.current import request_auth_of
from accounts.signin import policy

SAFE_METHODS = ("GET", "HEAD")

type View = Callable[..., HttpResponseBase]


def is_recent(request: HttpRequest, *, acts: bool = False) -> bool:
    """Return whether the request's session may do a sensitive act.

    A GET normally only opens a form. ``acts`` says that it is the act itself, since providers send
    people back by a GET.
    """
    session = request_auth_of(request).session
    is_opening = request.method in SAFE_METHODS and not acts
    return session is not None and policy.is_recent(session, is_opening=is_opening)


def reauthenticate_first(request: HttpRequest) -> HttpResponse | None:
    """Return a redirect to the reauthentication page, or None if authentication is recent."""
    return None if is_recent(request) else reauthentication.redirect_to_reauthenticate(request)


def recent_authentication_required(view: View) -> View:
    """Decorate a view so that it redirects to reauthentication unless authentication is recent."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return reauthenticate_first(request) or view(request, *args, **kwargs)

    return wrapped

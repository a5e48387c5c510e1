"""Sets ``request.user`` from the session, and redirects anonymous requests to the sign-in page."""

from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import middleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from accounts.sessions import current, known_browsers, last_method
from accounts.users.models import User


class AuthenticationMiddleware(middleware.AuthenticationMiddleware):
    """Set ``request.user`` to the user of the request's session."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        user: Any = SimpleLazyObject(lambda: current.user_of(request))
        request.user = user
        request.auser = partial(_auser, request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Set the cookies that recognize this browser and its last method after a sign-in."""
        known_browsers.set_cookie(request, response)
        last_method.set_cookie(request, response)
        return response


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Require a sign-in for every view that is not marked ``login_not_required``."""

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseRedirect:
        """Redirect to the sign-in page, or to the reauthentication page if that is required."""
        request_auth = current.request_auth_of(request)
        if request_auth.needs_reauthentication:
            return current.redirect_to_reauthenticate(request)
        if request_auth.is_revoked:
            sentence = _(
                "You were signed out because this isn’t the browser that you signed in with."
            )
            messages.warning(request, sentence)
        elif reason := current.of(request):
            messages.warning(request, reason)
        return super().handle_no_permission(request, view_func)


async def _auser(request: HttpRequest) -> User | AnonymousUser:
    return await sync_to_async(current.user_of)(request)

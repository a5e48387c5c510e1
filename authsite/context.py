"""The variables that every page's template has."""

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest

from accounts.mail import development
from accounts.recovery import services as recovery
from accounts.sessions.current import request_auth_of
from accounts.users.models import User


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the site's name and what its menus, banners and buttons need."""
    # Messages for the owner are not shown to another browser that has copied the cookie.
    # A request that was refused early has no session.
    is_copy = hasattr(request, "user") and request_auth_of(request).needs_reauthentication
    hidden: dict[str, Any] = {"messages": ()} if is_copy else {}
    return hidden | {
        "site_name": settings.AUTHSITE.site_name,
        # Whom people may sign in with; looked at on the pages that have the buttons.
        "providers": lambda: settings.AUTHSITE.issuers,
        "dev_mail": development.folder() is not None,
        # Shown on every page of a signed-in person, so that the owner can stop it.
        "running_recovery": lambda: recovery.running(cast(User, request.user)),
    }

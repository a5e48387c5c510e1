"""The context processor that adds variables to the templates of all pages."""

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest

from accounts.common.pages import theme_of
from accounts.mail import development_views
from accounts.recovery import services as recovery
from accounts.sessions.current import request_auth_of
from accounts.users.models import User


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the template variables that all pages need, such as the name of the site."""
    # A browser that must reauthenticate may have a copied session cookie, so hide the messages of
    # the user. A request that was refused early has no user.
    is_copy = hasattr(request, "user") and request_auth_of(request).needs_reauthentication
    hidden: dict[str, Any] = {"messages": ()} if is_copy else {}
    return hidden | {
        "site_name": settings.AUTHSITE.site_name,
        "theme": theme_of(request),
        # A function, because only pages with provider buttons need the providers.
        "providers": lambda: settings.AUTHSITE.issuers,
        "dev_mail": development_views.folder() is not None,
        # Every page shows a running account recovery, so that the owner can object to it.
        "running_recovery": lambda: recovery.running(cast(User, request.user)),
    }

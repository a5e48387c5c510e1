"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.mail import development
from accounts.sessions.current import standing_of


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, and whether there is a development mailbox to look into."""
    # What its owner is about to be told is not for another browser that has the cookie.
    # A request that was refused early has no session.
    is_suspended = hasattr(request, "user") and standing_of(request).suspended
    hidden: dict[str, Any] = {"messages": ()} if is_suspended else {}
    return hidden | {
        "site_name": settings.AUTHSITE.site_name,
        # Whom people may sign in with; looked at on the pages that have the buttons.
        "providers": lambda: settings.AUTHSITE.issuers,
        "dev_mail": development.folder() is not None,
    }

"""Stores in a cookie how this browser last signed in, for "Last used" on the sign-in page.

The cookie names a button of the sign-in page, such as ``passkey`` or ``google``, and no account. It
is set only after a successful proof, and never depends on a typed login. Otherwise it would reveal
whether an account exists, or how its owner signs in.
"""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.common import pages

LIFE = timedelta(days=365)
# The buttons that do not belong to a provider.
PASSKEY, PASSWORD, EMAIL = "passkey", "password", "email"
ATTRIBUTE = "_last_method"


def of(request: HttpRequest) -> str:
    """Return the button in the cookie of this browser, or an empty string.

    The browser can send any value, so only compare it.
    """
    return request.COOKIES.get(settings.LAST_METHOD_COOKIE_NAME, "")


def note(request: HttpRequest, button: str) -> None:
    """Store in the cookie that this browser has signed in with ``button``."""
    setattr(request, ATTRIBUTE, button)


def forget(request: HttpRequest) -> None:
    """Delete the cookie. Call this after a lock, because earlier methods no longer sign in."""
    setattr(request, ATTRIBUTE, "")


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set or delete the cookie if :func:`note` or :func:`forget` was called for ``request``."""
    button = getattr(request, ATTRIBUTE, None)
    if button is not None:
        life = LIFE if button else timedelta()
        pages.set_cookie(response, settings.LAST_METHOD_COOKIE_NAME, button, life)

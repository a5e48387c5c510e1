"""Chooses the language that an app requests for the pages of this site (``ui_locales``)."""

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import get_supported_language_variant


def choose(response: HttpResponse, ui_locales: str) -> None:
    """Set the language cookie to the first of ``ui_locales`` that the site has.

    The cookie lasts until the browser is closed.

    ``ui_locales``: language tags, separated by spaces, in the order of preference (OpenID Connect
        Core section 3.1.2.1). After the sign-in, the user's own language applies.
    """
    for tag in ui_locales.split():
        try:
            language = get_supported_language_variant(tag)
        except LookupError:
            continue
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite="Lax",
        )
        return

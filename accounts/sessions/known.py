"""Browsers that a person has signed in with before: the owner hears of the first sign-in of others.

A browser is known by a random cookie that an earlier sign-in left there, for that account and that
family and system: two people's browsers of one kind are two browsers. The table keeps a digest.
"""

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.kernel import secrets
from accounts.kernel.places import place_of
from accounts.throttle import familiar
from accounts.users.models import User

ATTRIBUTE = "_known_browser"
TOKEN = re.compile(r"[\w-]{43}", re.ASCII)


def meet(request: HttpRequest, user: User) -> bool:
    """Whether ``user`` has signed in with this browser before; it's known from now on."""
    token = request.COOKIES.get(settings.KNOWN_COOKIE_NAME, "")
    if not TOKEN.fullmatch(token):
        token = secrets.token()
    # After a change of credentials no browser is known: it may be the thief's that was.
    place = f"browser {token} {place_of(request).device} {user.credential_version}"
    noted = familiar.find(user.pk, place)
    familiar.remember(user.pk, place, noted)
    setattr(request, ATTRIBUTE, token)
    return noted is not None


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Leave the cookie, if this request has signed somebody in."""
    if token := getattr(request, ATTRIBUTE, ""):
        response.set_cookie(
            settings.KNOWN_COOKIE_NAME,
            token,
            max_age=familiar.LIFE,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )

"""Browsers that a person has signed in with before: the owner hears of the first sign-in of others.

A browser is known by a random cookie that an earlier sign-in left there, for that account and that
family and system: two people's browsers of one kind are two browsers. The table keeps a digest.
"""

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.kernel import secrets
from accounts.kernel.places import Place, place_of
from accounts.throttle import familiar
from accounts.users.models import User

ATTRIBUTE = "_known_browser"
TOKEN = re.compile(r"[\w-]{43}", re.ASCII)


def meet(request: HttpRequest, user: User) -> bool:
    """Whether ``user`` has signed in with this browser before; it's known from now on."""
    token = request.COOKIES.get(settings.KNOWN_COOKIE_NAME, "")
    if not TOKEN.fullmatch(token):
        token = secrets.token()
    setattr(request, ATTRIBUTE, token)
    return _meet(user, f"browser {token} {place_of(request).device}")


def meet_client(place: Place, user: User) -> bool:
    """The same of a client of the API, which keeps no cookie: by its network and its name."""
    return _meet(user, f"client {place.network} {place.device}")


def _meet(user: User, what: str) -> bool:
    # After a change of credentials nothing is known: it may be the thief's that was.
    place = f"{what} {user.credential_version}"
    noted = familiar.find(user.pk, place)
    familiar.remember(user.pk, place, noted)
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

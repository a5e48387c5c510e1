"""Sign a browser in, in process, through the function that establishes all sessions."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from accounts.common.proofs import Method, Proof
from accounts.sessions import known_browsers
from accounts.sessions.store import SessionStore
from accounts.signin.session import CompletedSignIn, establish_session
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.support.second_factor import enrolled

# What a session shows after a sign-up. Both together lock an account without a second factor.
SIGNED_UP = (Method.PASSWORD, Method.MAIL)


def signed_in(user: User, client: Client | None = None, *, by: Sequence[Method] = ()) -> Client:
    """Return ``client``, or a new one, with a session of ``user``.

    The session has the proofs ``by``, by default all that the site asks this user for. A user who
    must have a second factor is given an authenticator.
    """
    client = client or Client()
    request = RequestFactory().get("/")
    request.session = SessionStore()
    if twofactor.is_required(user) and not twofactor.has_any(user):
        enrolled(user)
        user = type(user).objects.get(pk=user.pk)
    second = [Method.TOTP] if twofactor.has_any(user) else []
    apps = Authenticator.objects.filter(user=user)
    key = next((row.persistent_id for row in apps), "")
    proofs = [
        Proof.now(method, key if method is Method.TOTP else "")
        for method in by or [Method.PASSWORD, *second]
    ]
    establish_session(request, CompletedSignIn(user, tuple(proofs)))
    response = HttpResponse()
    known_browsers.set_cookie(request, response)
    client.cookies.update(response.cookies)
    client.cookies["sessionid"] = request.session.session_key or ""
    return client


def request_of(client: Client) -> HttpRequest:
    """Return a request with the cookies and headers of ``client``, as a view gets it."""
    factory = RequestFactory()
    factory.defaults, factory.cookies = client.defaults, client.cookies
    return factory.get("/")


def set_up(settings: Any, **changes: Any) -> None:
    """Change settings of the site; ``settings`` is the fixture of pytest-django."""
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, **changes)


type Set = Callable[..., None]


@pytest.fixture
def configure(settings: Any) -> Set:
    """Return a function that changes settings of the site by name."""

    def configure(**changes: Any) -> None:
        set_up(settings, **changes)

    return configure


class Clock:
    """A replacement for the site's clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, **interval: float) -> None:
        """Move the clock forward, for example by ``clock.advance(minutes=15)``."""
        self._now += timedelta(**interval)

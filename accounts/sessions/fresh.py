"""Fresh proof: before a sensitive act, who is signed in shows once more who it is (ASVS 7.5.1)."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from accounts.kernel import clock
from accounts.sessions import current

LIFE = timedelta(minutes=10)
# Whoever opens a form is asked earlier: what is left is for filling it in.
TO_OPEN = timedelta(minutes=5)
SAFE_METHODS = ("GET", "HEAD")

type View = Callable[..., HttpResponseBase]


def is_fresh(request: HttpRequest, *, acts: bool = False) -> bool:
    """Whether the last proof of this login session is young enough for this request.

    ``acts``: also a GET does, since a provider sends people back by one.
    """
    login = current.standing_of(request).login
    life = TO_OPEN if request.method in SAFE_METHODS and not acts else LIFE
    return login is not None and clock.now() < login.auth_time + life


def is_factor_fresh(request: HttpRequest) -> bool:
    """The same of the last second factor that was shown."""
    login = current.standing_of(request).login
    life = TO_OPEN if request.method in SAFE_METHODS else LIFE
    return (
        login is not None and login.factor_at is not None and (clock.now() < login.factor_at + life)
    )


def ask(request: HttpRequest, *, factor: bool = False) -> HttpResponseRedirect:
    """To the page that asks for a proof, perhaps only for a second factor, and back."""
    page = reverse("account_reauthenticate") + ("?factor=1" if factor else "")
    return redirect_to_login(request.get_full_path(), page)


def fresh_proof_required(view: View) -> View:
    """A decorator for sensitive views of people who are signed in."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if is_fresh(request) else ask(request)

    return wrapped

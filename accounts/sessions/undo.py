"""Undo the last change, for 30 seconds, in the browser session that has made it.

Only changes without consequences can be undone, such as a new name or a hidden suggestion. A
session, a key or a second factor that was removed does not come back.

An offer is part of the session data in the database. So it needs no signature, only the browser
that has made the change can accept it, and it ends with the session. It is accepted once.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from hmac import compare_digest
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.activity.services import Actor
from accounts.common import clock, secrets
from accounts.common.localization import speaking
from accounts.common.pages import safe_next
from accounts.sessions.current import actor_of, session_of
from accounts.users.models import User

LIFE = timedelta(seconds=30)
OFFER = "undo"
# Restores the former state of a user. Returns False if somebody has changed it again meanwhile.
type Restore = Callable[[User, Mapping[str, Any], Actor], bool]
_functions: dict[str, Restore] = {}


def register(change: str, restore: Restore) -> None:
    """Let ``restore`` undo each change that is offered by the name ``change``."""
    _functions[change] = restore


def offer(request: HttpRequest, text: str, change: str, **former: Any) -> None:
    """Show the message ``text`` on the next page, with a button that undoes ``change``.

    ``former`` is what the function that undoes it gets; it must be JSON.
    """
    until = (clock.now() + LIFE).timestamp()
    request.session[OFFER] = [secrets.token(), change, former, until]
    messages.success(request, text, extra_tags=OFFER)


def offered(request: HttpRequest) -> dict[str, Any] | None:
    """Return the ``token`` of the offer and its ``seconds`` left, or None if there is no offer."""
    token, _change, _former, until = request.session.get(OFFER, ("", "", {}, 0))
    left = until - clock.now().timestamp()
    return {"token": token, "seconds": int(left)} if left > 0 else None


@never_cache
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Undo the change that was offered, and return to the page."""
    user, found = session_of(request).user, offered(request)
    is_undone = False
    if found and compare_digest(found["token"].encode(), request.POST.get("token", "").encode()):
        _token, change, former, _until = request.session.pop(OFFER)
        is_undone = _functions[change](user, former, actor_of(request))
        user.refresh_from_db(fields=["language"])
    with speaking(user.language):
        if is_undone:
            messages.success(request, _("Undone."))
        else:
            messages.error(request, _("It’s too late to undo that."))
    return redirect(safe_next(request.POST.get("next")) or "home")

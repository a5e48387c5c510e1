"""Undoes the last change, within 30 seconds, in the browser session that has made it.

Only changes without consequences can be undone, such as a new name or a hidden suggestion. A
removed session, key or second factor cannot be restored.

An offer to undo is part of the session data in the database. Therefore it needs no signature, only
the browser that has made the change can accept it, it ends with the session, and it works once.
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
# Restores the former state of a user. Returns False if the state has changed again meanwhile.
type Restore = Callable[[User, Mapping[str, Any], Actor], bool]
_functions: dict[str, Restore] = {}


def register(change: str, restore: Restore) -> None:
    """Register ``restore`` as the function that undoes changes with the name ``change``."""
    _functions[change] = restore


def offer(request: HttpRequest, text: str, change: str, **former: Any) -> None:
    """Show the message ``text`` on the next page, with a button that undoes ``change``.

    ``former``: the arguments of the function that undoes the change; they must be JSON values.
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
    """Undo the change that was offered, and redirect back to the page."""
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

"""Tells a browser, and staff, why it was signed out.

Only the browser that had the session learns the reason: it must send the last session key, and pass
the session protection.
"""

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.common.client_info import client_of
from accounts.sessions import protection
from accounts.sessions.models import LoginSession
from accounts.sessions.protection import Verdict
from accounts.sessions.store import digest
from accounts.users.models import User

_PASSWORD = _("You were signed out because your password was changed.")
_ELSEWHERE = _("Another browser signed you out.")
REASONS: dict[str, str | Promise] = {
    events.PASSWORD_CHANGED.name: _PASSWORD,
    events.PASSWORD_RESET.name: _PASSWORD,
    events.PASSWORD_SET.name: _PASSWORD,
    events.SESSION_ENDED.name: _ELSEWHERE,
    events.OTHERS_ENDED.name: _ELSEWHERE,
    events.ALL_ENDED.name: _("The operator of this site signed you out."),
    events.ENDED_BY_STAFF.name: _("The staff of this site signed you out."),
    events.LOCKED_DOWN.name: _("You were signed out because your account was locked."),
    events.SESSION_ENDED_BY_LIMIT.name: _(
        "You were signed out because you were signed in with too many browsers and programs."
    ),
}
OTHER = _("You were signed out because your sign-in settings were changed.")

# The browser knows these, or another page tells them.
UNTOLD = ("", events.SIGNED_OUT.name, events.SESSION_STOPPED.name)


def of(request: HttpRequest) -> str:
    """Return a sentence that says why the browser of ``request`` was signed out, or ""."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return ""
    rows = LoginSession.objects.filter(ended_key=digest(key), user__is_active=True)
    session = rows.exclude(ended_by__in=UNTOLD).first()
    if session is None or protection.judge(session, client_of(request)) is not Verdict.SAME:
        return ""
    return str(REASONS.get(session.ended_by, OTHER))


def last_stopped(user: User) -> QuerySet[LoginSession]:
    """Return the last session of ``user`` that session protection revoked, if there is one."""
    ended = LoginSession.objects.filter(user=user, ended_by=events.SESSION_STOPPED.name)
    return ended.order_by("-ended_at")[:1]

"""Lists the other sessions of a user; counts and ends what "Sign out everywhere else" ends."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import HttpRequest

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import IS_APP, live, revoke_all
from accounts.twofactor import trusted_browsers
from accounts.users import services as users
from accounts.users.models import User

IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


@dataclass(frozen=True)
class Effects:
    """The number of sessions, apps and trusted browsers that "Sign out everywhere else" would end.

    Attributes:
        browsers: the number of live sessions in browsers, without the current session.
        programs: the number of live sessions of API clients, without the current session.
        apps: the number of connected apps with a live session.
        trusted: the number of trusted browsers.
        trusts_here: whether the browser of the request is a trusted browser.
    """

    browsers: int
    programs: int
    apps: int
    trusted: int
    trusts_here: bool

    @property
    def sessions(self) -> int:
        """The number of live sessions of browsers and API clients, without the current one."""
        return self.browsers + self.programs


def others(here: LoginSession) -> QuerySet[LoginSession]:
    """Return the other live sessions of the user, which can be ended one by one.

    Sessions of apps without a refresh token are left out, because they end with a browser session:
    see :func:`add_apps`. Browsers come first, then API clients, then apps, each group in
    the order of their last use.
    """
    group = Case(When(IN_BROWSER, then=2), When(IS_APP, then=0), default=1)
    rows = live(here.user).exclude(pk=here.pk).exclude(IS_APP, refresh_digest="")
    return rows.order_by(group.desc(), "-used_at")


def add_apps(browsers: Iterable[LoginSession]) -> None:
    """Set ``apps`` of each of the sessions to the names of the apps that end with it."""
    by_id = {session.pk: session for session in browsers}
    found = connected.apps().ending_with(by_id)
    for pk, session in by_id.items():
        session.apps = found.get(pk, ())


def effects(request: HttpRequest, here: LoginSession) -> Effects:
    """Count what would end if the user signed out everywhere except in the session ``here``."""
    rows = live(here.user).exclude(pk=here.pk).order_by()
    counts = rows.aggregate(
        browsers=Count("pk", filter=IN_BROWSER),
        programs=Count("pk", filter=~IN_BROWSER & ~IS_APP),
    )
    apps = len(connected.apps().names(rows))
    trusted = _count_trusted(here.user)
    trusts_here = bool(trusted) and trusted_browsers.here(request, here.user).exists()
    return Effects(**counts, apps=apps, trusted=trusted, trusts_here=trusts_here)


@transaction.atomic
def sign_out_elsewhere(user: User, keep: uuid.UUID, actor: Actor) -> int:
    """Revoke all other sessions and the trust in every browser; return how many sessions ended."""
    # Lock the user first, as a lockdown does. Otherwise the two could deadlock on the sessions.
    users.lock_row_as_is(user)
    if count := live(user).exclude(pk=keep).count():
        revoke_all(user, keep=keep, reason=events.OTHERS_ENDED.name)
        record(user, events.OTHERS_ENDED, actor, detail=str(count))
    trusted_browsers.end(user, actor)
    return count


def _count_trusted(user: User) -> int:
    return trusted_browsers.of(user).count() if settings.AUTHSITE.trusted_browser_days else 0

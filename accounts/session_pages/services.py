"""Lists the other sessions of a user; counts and ends what "Sign out everywhere else" ends."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import HttpRequest

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.sessions.models import LoginSession
from accounts.sessions.services import live, revoke_all
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

    Sessions of apps without ``offline_access`` are left out, because they end with a browser
    session: see :func:`add_apps`. Browsers come first, then API clients, then apps, each group in
    the order of their last use.
    """
    group = Case(When(IN_BROWSER, then=2), When(client=None, then=1), default=0)
    rows = live(here.user).exclude(pk=here.pk).filter(Q(client=None) | Q(is_offline=True))
    return rows.select_related("client").order_by(group.desc(), "-used_at")


def add_apps(browsers: Iterable[LoginSession]) -> None:
    """Set ``apps`` of each of the sessions to the names of the apps that end with it."""
    found: defaultdict[Any, list[str]] = defaultdict(list)
    by_id = {session.pk: session for session in browsers}
    children = LoginSession.objects.filter(parent__in=by_id, is_offline=False, ended_at=None)
    pairs = children.order_by("client__name").values_list("parent", "client__name").distinct()
    for parent, name in pairs:
        found[parent].append(name)
    for pk, session in by_id.items():
        session.apps = found[pk]


def effects(request: HttpRequest, here: LoginSession) -> Effects:
    """Count what would end if the user signed out everywhere except in the session ``here``."""
    counts = (
        live(here.user)
        .exclude(pk=here.pk)
        .order_by()
        .aggregate(
            browsers=Count("pk", filter=IN_BROWSER),
            programs=Count("pk", filter=~IN_BROWSER & Q(client=None)),
            apps=Count("client", distinct=True),
        )
    )
    trusted = _count_trusted(here.user)
    trusts_here = bool(trusted) and trusted_browsers.here(request, here.user).exists()
    return Effects(**counts, trusted=trusted, trusts_here=trusts_here)


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

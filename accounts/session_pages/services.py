"""Lists the other sessions of a user, and signs out everywhere else."""

import uuid
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Case, Q, QuerySet, When

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import IS_APP, live, revoke_all
from accounts.twofactor import trusted_browsers
from accounts.users import services as users
from accounts.users.models import User

IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


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

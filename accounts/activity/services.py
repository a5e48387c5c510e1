"""Recording what happened, in the transaction of the change itself."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.activity import notices
from accounts.activity.events import EVENTS, Event, Group
from accounts.activity.models import LONGEST_DETAIL, Activity
from accounts.common import clock, metrics
from accounts.common.client_info import ClientInfo, Device
from accounts.users.models import Address, User

# Failed sign-ins at accounts that don't exist are of use while an attack goes on.
NOBODYS_LIFE = timedelta(days=30)
# No name of a person: see ``accounts.users.usernames``.
OPERATOR = "@operator"


@dataclass(frozen=True)
class Actor:
    """Who did something and from where: at a place, in a login session, by which proof.

    ``name`` is set when it wasn't the owner of the account. ``key`` names the API key by which a
    program did it.
    """

    client: ClientInfo | None = None
    session: uuid.UUID | None = None
    proof: str = ""
    name: str = ""
    key: str = ""

    @property
    def device(self) -> Device:
        """The device at the place; an empty one for the command line."""
        return self.client.device if self.client else Device()

    def by(self, *amr: str) -> "Actor":
        """The same, on this proof."""
        return replace(self, proof=" ".join(amr))


def record(
    user: User | None,
    event: Event,
    actor: Actor,
    *,
    detail: str = "",
    former: Address | None = None,
    mail: bool = True,
) -> Activity:
    """Write down that ``event`` happened to ``user``; tell them by mail if it's of that kind.

    Call it in the transaction of the change: neither is there without the other. ``former`` is an
    address that is not theirs, or not the primary one, any more: it is told as well. With
    ``mail=False`` nobody is told: the event is part of a change that has a mail of its own.
    """
    row = Activity.objects.create(
        user=user,
        kind=event.name,
        address=actor.client.ip if actor.client else "",
        browser=actor.device.browser,
        system=actor.device.system,
        proof=actor.proof,
        session=actor.session,
        actor=actor.name,
        # An email address or a provider's name for a person may be longer than PostgreSQL takes.
        detail=detail[:LONGEST_DETAIL],
        key=actor.key,
    )
    transaction.on_commit(metrics.EVENTS.labels(event.name).inc)
    if mail and event.mail and user is not None:
        notices.tell(user, row, former)
    return row


def of(user: User, group: str = "") -> QuerySet[Activity]:
    """What happened to ``user``, newest first; all of it, or one group of kinds."""
    rows = Activity.objects.filter(user=user).order_by("-id")
    if group in Group:
        rows = rows.filter(kind__in=[e.name for e in EVENTS.values() if e.group == group])
    return rows


def has_happened(user: User, event: Event, since: datetime) -> bool:
    """Whether ``event`` happened to ``user`` after that moment."""
    return Activity.objects.filter(user=user, kind=event.name, at__gt=since).exists()


def prune() -> int:
    """Delete what is older than ``ACTIVITY_DAYS``; how many rows."""
    now = clock.now()
    old = Activity.objects.filter(at__lte=now - timedelta(days=settings.AUTHSITE.activity_days))
    nobodys = Activity.objects.filter(user=None, at__lte=now - NOBODYS_LIFE)
    return old.delete()[0] + nobodys.delete()[0]

"""Records events, in the transaction of the change itself."""

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
from accounts.users.models import EmailAddress, User

# Failed sign-ins to unknown accounts are useful only while an attack goes on.
NOBODYS_LIFE = timedelta(days=30)
# Cannot be a username, since those contain no ``@``: see ``accounts.users.usernames``.
OPERATOR = "@operator"


@dataclass(frozen=True)
class Actor:
    """Who does something, from where, in which session and after which proof.

    ``proof`` lists ``amr`` values, separated by spaces. ``name`` is set unless the actor is the
    owner of the account. ``key`` names the API key if a program used one.
    """

    client: ClientInfo | None = None
    session: uuid.UUID | None = None
    proof: str = ""
    name: str = ""
    key: str = ""

    @property
    def device(self) -> Device:
        """The device of the client; an empty one on the command line."""
        return self.client.device if self.client else Device()

    def by(self, *amr: str) -> "Actor":
        """Return this actor with ``amr`` as its proof."""
        return replace(self, proof=" ".join(amr))


def record(
    user: User | None,
    event: Event,
    actor: Actor,
    *,
    detail: str = "",
    former: EmailAddress | None = None,
    mail: bool = True,
) -> Activity:
    """Record that ``event`` happened to ``user``, and mail the owner if its ``mail`` is set.

    Call this in the transaction of the change, so that neither is stored without the other.
    ``former``, an address that has been removed or is no longer primary, gets the mail as well.
    With ``mail=False`` no mail is sent, because the event is part of a change that has its own.
    """
    row = Activity.objects.create(
        user=user,
        kind=event.name,
        ip=actor.client.ip if actor.client else "",
        browser=actor.device.browser,
        system=actor.device.system,
        proof=actor.proof,
        session=actor.session,
        actor=actor.name,
        # An email address or a provider's name for a person may be longer than the column.
        detail=detail[:LONGEST_DETAIL],
        key=actor.key,
    )
    transaction.on_commit(metrics.EVENTS.labels(event.name).inc)
    if mail and event.mail and user is not None:
        notices.tell(user, row, former)
    return row


def of(user: User, group: str = "") -> QuerySet[Activity]:
    """Return the events of ``user``, newest first, of all groups or of ``group`` only."""
    rows = Activity.objects.filter(user=user).order_by("-id")
    if group in Group:
        rows = rows.filter(kind__in=[e.name for e in EVENTS.values() if e.group == group])
    return rows


def has_happened(user: User, event: Event, since: datetime) -> bool:
    """Return whether ``event`` has happened to ``user`` since that moment."""
    return Activity.objects.filter(user=user, kind=event.name, at__gt=since).exists()


def prune() -> int:
    """Delete events older than ``ACTIVITY_DAYS``; return how many.

    Failed sign-ins to unknown accounts are deleted after 30 days.
    """
    now = clock.now()
    old = Activity.objects.filter(at__lte=now - timedelta(days=settings.AUTHSITE.activity_days))
    nobodys = Activity.objects.filter(user=None, at__lte=now - NOBODYS_LIFE)
    return old.delete()[0] + nobodys.delete()[0]

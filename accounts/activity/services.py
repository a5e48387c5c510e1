"""Recording what happened and telling the owner, in the transaction of the change itself."""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet

from accounts.activity import events, mails
from accounts.activity.events import EVENTS, Event, Group
from accounts.activity.models import Activity
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.kernel import clock
from accounts.kernel.places import Device, Place
from accounts.mail.services import post
from accounts.users.models import User

# The link "this wasn't me" of a notice: each mail has its own, so that a newer mail, perhaps to an
# address that a thief has put in, doesn't end the older ones.
LOCKDOWN = Purpose("lockdown.link", life=timedelta(days=30))
# Failed sign-ins at accounts that don't exist are of use while an attack goes on.
NOBODYS_LIFE = timedelta(days=30)
# No name of a person: see ``accounts.users.names``.
OPERATOR = "@operator"
# More mails of one kind an hour would only bury the first.
MOST_MAILS = 20


@dataclass(frozen=True)
class Source:
    """Who did something and from where: at a place, in a login session, by which proof.

    ``actor`` is set when it wasn't the owner of the account.
    """

    place: Place | None = None
    session: uuid.UUID | None = None
    proof: str = ""
    actor: str = ""

    @property
    def device(self) -> Device:
        """The device at the place; an empty one for the command line."""
        return self.place.device if self.place else Device()

    def by(self, *amr: str) -> "Source":
        """The same, on this proof."""
        return replace(self, proof=" ".join(amr))


def record(user: User | None, event: Event, source: Source, *, detail: str = "") -> None:
    """Write down that ``event`` happened to ``user``; tell them by mail if it's of that kind.

    Call it in the transaction of the change: neither is there without the other.
    """
    row = Activity.objects.create(
        user=user,
        kind=event.name,
        address=source.place.address if source.place else "",
        browser=source.device.browser,
        system=source.device.system,
        proof=source.proof,
        session=source.session,
        actor=source.actor,
        detail=detail,
    )
    if event.mail and user is not None and user.email and _is_news(user, event):
        is_locked = event is events.LOCKED_DOWN
        link = None if is_locked else codes.issue_link(LOCKDOWN, f"{user.pk} {row.pk}")
        post(mails.notice(user, row, link))


def of(user: User, group: str = "") -> QuerySet[Activity]:
    """What happened to ``user``, newest first; all of it, or one group of kinds."""
    rows = Activity.objects.filter(user=user).order_by("-id")
    if group in Group:
        rows = rows.filter(kind__in=[e.name for e in EVENTS.values() if e.group == group])
    return rows


def told_of(token: str) -> Activity | None:
    """What the notice told of whose link has this secret, if the link is still good."""
    subject = codes.subject_of(LOCKDOWN, token)
    if subject is None:
        return None
    return Activity.objects.select_related("user").filter(pk=subject.split()[1]).first()


def spend_link(row: Activity, token: str) -> bool:
    """Use the link of that notice up; whether it was good. One of many gets it."""
    return codes.spend(LOCKDOWN, f"{row.user_id} {row.pk}", token)


def _is_news(user: User, event: Event) -> bool:
    """Whether this kind of event hasn't filled the owner's mailbox within the hour."""
    rows = Activity.objects.filter(user=user, kind=event.name)
    return rows.filter(at__gt=clock.now() - timedelta(hours=1)).count() <= MOST_MAILS


def prune() -> int:
    """Delete what is older than ``ACTIVITY_DAYS``; how many rows."""
    now = clock.now()
    old = Activity.objects.filter(at__lte=now - timedelta(days=settings.AUTHSITE.activity_days))
    nobodys = Activity.objects.filter(user=None, at__lte=now - NOBODYS_LIFE)
    return old.delete()[0] + nobodys.delete()[0]

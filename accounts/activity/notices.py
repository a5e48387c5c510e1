"""Telling the owner by mail, each mail with a link of its own: "this wasn't me".

The link locks the account, whoever has it. It opens and undoes nothing: a reset does, by the rule
of ``accounts.users.disputes``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from accounts.activity import events, mails
from accounts.activity.models import Activity
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.kernel import clock
from accounts.mail.services import post
from accounts.users import former as formers
from accounts.users.disputes import DISPUTABLE
from accounts.users.models import Address, User

LINK = Purpose("lockdown.link", life=DISPUTABLE)
# More mails of one kind an hour would only bury the first.
MOST_AN_HOUR = 20


@dataclass(frozen=True)
class Notice:
    """What a link stands for: the event that ``address`` was told of."""

    row: Activity
    user: User
    address: str
    subject: str


def tell(user: User, row: Activity, former: Address | None) -> None:
    """Mail what happened to the primary address, and to the one that was it or was removed.

    A change is told to every address: a thief may read one mailbox, or hold one factor. While a
    locked account is disputed, also to those that were suspended or removed, without a link.
    """
    if not _is_news(user, row):
        return
    told = [user.email, *([former.address] if former else [])]
    if row.event.group is events.Group.CHANGE:
        told += user.addresses.order_by("pk").values_list("address", flat=True)
    for n, address in enumerate(filter(None, dict.fromkeys(told))):
        is_locked = row.event is events.LOCKED_DOWN
        subject = f"{user.pk} {row.pk} {n}"
        link = None if is_locked else codes.issue_link(LINK, subject, address)
        post(mails.notice(user, row, address, link, is_locked=is_locked))
    if user.disputed_at:
        for email in formers.disputed_emails(user).exclude(label__in=told):
            post(mails.notice(user, row, email.label, None))


def find(token: str) -> Notice | None:
    """The notice whose link has this secret, if the link is still good."""
    link = codes.find_link(LINK, token)
    if link is None:
        return None
    row_id = link.subject.split()[1]
    row = Activity.objects.select_related("user").filter(pk=row_id).first()
    if row is None or row.user is None:
        return None
    return Notice(row, row.user, link.address, link.subject)


def spend(notice: Notice, token: str) -> bool:
    """Use the link up; whether it was good. One of many gets it."""
    return codes.spend(LINK, notice.subject, token, notice.address)


def end_links(user: User, emails: Iterable[str]) -> None:
    """End what these addresses were sent: they have locked the account, or are suspended."""
    codes.issued(LINK, f"{user.pk} ").filter(address__in=list(emails)).delete()


def _is_news(user: User, row: Activity) -> bool:
    """Whether this kind of event hasn't filled the owner's mailbox within the hour."""
    rows = Activity.objects.filter(user=user, kind=row.kind)
    return rows.filter(at__gt=clock.now() - timedelta(hours=1)).count() <= MOST_AN_HOUR

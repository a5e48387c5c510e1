"""Telling the owner by mail, each mail with a link of its own: "this wasn't me".

The link locks the account down. One that went to an established address also undoes what was done
to the addresses since: it was the owner's before a thief could put in another. A thief's address
is told, too, but its link puts nothing back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from accounts.activity import events, mails
from accounts.activity.models import Activity
from accounts.codes import services as codes
from accounts.codes.models import Code
from accounts.codes.services import Purpose
from accounts.kernel import clock
from accounts.mail.services import post
from accounts.users.models import Address, User

LINK = Purpose("lockdown.link", life=timedelta(days=30))
# To an address that is not the primary one any more.
FORMER = replace(LINK, life=timedelta(days=7))
# More mails of one kind an hour would only bury the first.
MOST_AN_HOUR = 20
# How long an address must have been confirmed to be established, if it isn't the first.
ESTABLISHED = timedelta(days=7)


@dataclass(frozen=True)
class Notice:
    """What a link stands for: the event that ``address`` was told of, and whether it undoes."""

    row: Activity
    user: User
    address: str
    undoes: bool
    subject: str


def tell(user: User, row: Activity, former: Address | None) -> None:
    """Mail what happened to the primary address, and to the one that was it or was removed.

    A change is told to every address: a thief may read one mailbox, or hold one factor.
    """
    if former:
        _outdate_links(user, former)
    if not _is_news(user, row):
        return
    rows = list(user.addresses.order_by("pk"))
    is_change = row.event.group is events.Group.CHANGE
    told = dict.fromkeys([user.email, *(a.address for a in rows if is_change)], LINK)
    if former:
        rows.append(former)
        told[former.address] = FORMER
    told.pop("", None)
    trusted = {known.address for known in established(user, rows, row.at)}
    for n, (address, purpose) in enumerate(told.items()):
        kind = f"{'undo' if address in trusted else 'lock'}{n}"
        is_locked = row.event is events.LOCKED_DOWN
        subject = f"{user.pk} {row.pk} {kind}"
        link = None if is_locked else codes.issue_link(purpose, subject, address)
        post(mails.notice(user, row, address, link))


def established(user: User, rows: Iterable[Address], at: datetime) -> list[Address]:
    """Those that were confirmed when the account was made, or a week before ``at``; oldest first.

    Not the oldest that is left: a thief may have removed the others.
    """
    since = max(user.date_joined, at - ESTABLISHED)
    return sorted((r for r in rows if r.confirmed_at <= since), key=lambda r: r.confirmed_at)


def find(token: str) -> Notice | None:
    """The notice whose link has this secret, if the link is still good."""
    link = codes.find_link(LINK, token)
    if link is None:
        return None
    _user_id, row_id, kind = link.subject.split()
    row = Activity.objects.select_related("user").filter(pk=row_id).first()
    if row is None or row.user is None:
        return None
    return Notice(row, row.user, link.address, kind.startswith("undo"), link.subject)


def spend(notice: Notice, token: str) -> bool:
    """Use the link up; whether it was good. One of many gets it."""
    return codes.spend(LINK, notice.subject, token, notice.address)


def end_other_links(notice: Notice, dropped: Iterable[Address]) -> None:
    """End what the same address was sent besides: it has said what it had to say.

    If the link undoes, also what others were sent since that event, and all that was sent to
    addresses that it drops: a thief, if there was one.
    """
    ended = {notice.address, *(row.address for row in dropped if notice.undoes)}
    links = codes.issued(LINK, f"{notice.user.pk} ")
    links.filter(pk__in=[link.pk for link in links if _is_over(link, notice, ended)]).delete()


def _is_over(link: Code, notice: Notice, ended: set[str]) -> bool:
    is_later = int(link.subject.split()[1]) >= notice.row.pk
    return link.address in ended or (notice.undoes and is_later)


def _outdate_links(user: User, former: Address) -> None:
    """What the address was sent while it was the primary one is good for 7 days more, too."""
    until = clock.now() + FORMER.life
    sent = codes.issued(LINK, f"{user.pk} ").filter(address=former.address, expires_at__gt=until)
    sent.update(expires_at=until)


def _is_news(user: User, row: Activity) -> bool:
    """Whether this kind of event hasn't filled the owner's mailbox within the hour."""
    rows = Activity.objects.filter(user=user, kind=row.kind)
    return rows.filter(at__gt=clock.now() - timedelta(hours=1)).count() <= MOST_AN_HOUR

"""Mails the owner about events.

A notice has a link to lock the account, in case somebody else caused the event. The link can do
nothing else, because anybody who reads the mailbox can use it. Only a reset opens the account
again, by the rule of ``accounts.users.disputes``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Value
from django.db.models.functions import Concat

from accounts.activity import events, mails
from accounts.activity.models import Activity
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock
from accounts.mail.services import post
from accounts.users import former_credentials as formers
from accounts.users.disputes import DISPUTABLE, counts
from accounts.users.models import EmailAddress, User

LINK = Purpose("lockdown.link", life=DISPUTABLE)
# The most mails of one kind in an hour. More of them would only bury the first.
MOST_AN_HOUR = 20
# Marks the subject of a link if its address has locked the account by a later link.
LOOKS_BACK = " back"


@dataclass(frozen=True)
class Notice:
    """An event that was mailed to ``email`` with a link to lock the account.

    ``subject`` identifies the link.
    """

    row: Activity
    user: User
    email: str
    subject: str

    @property
    def looks_back(self) -> bool:
        """Whether the address has already locked the account by the link of a later event."""
        return self.subject.endswith(LOOKS_BACK)


def tell(user: User, row: Activity, former: EmailAddress | None) -> None:
    """Mail the event ``row`` to the primary address of ``user``, within an hourly limit.

    ``former``, a former primary or removed address, gets the mail as well. A change is mailed to
    every address, because a thief may read one of the mailboxes. While a lock is disputed,
    suspended and removed addresses get the mail without a link. Those addresses, and addresses that
    are too young to count in the dispute, get no details.
    """
    if not _is_news(user, row):
        return
    told = [user.email, *([former.email] if former else [])]
    is_change = row.event.group is events.Group.CHANGE
    if is_change:
        told += user.emails.order_by("pk").values_list("email", flat=True)
    is_locked = user.is_locked_down or row.event is events.LOCKED_DOWN
    # A removed address may be a thief's, which must not lock the account.
    unlinked = {former.email} if former and not _may_lock(user, former, row) else set()
    young = _young(user) if user.disputed_at and is_change else set()
    for n, email in enumerate(filter(None, dict.fromkeys(told))):
        subject = f"{user.pk} {row.pk} {n}"
        has_link = not is_locked and email not in unlinked
        link = codes.issue_link(LINK, subject, email) if has_link else None
        is_doubtful = email in young
        post(mails.notice(user, row, email, link, is_locked=is_locked, is_doubtful=is_doubtful))
    if user.disputed_at and is_change:
        for suspended in formers.disputed_emails(user).exclude(label__in=told):
            post(mails.notice(user, row, suspended.label, None, is_doubtful=True))


def _young(user: User) -> set[str]:
    """Return the addresses that ``user`` had held for less than a week at the dispute."""
    at = user.disputed_at or clock.now()
    return {row.email for row in user.emails.all() if not counts(user, row.confirmed_at, at)}


def _may_lock(user: User, former: EmailAddress, row: Activity) -> bool:
    is_held = user.emails.filter(pk=former.pk).exists()
    is_oldest = not user.emails.filter(confirmed_at__lt=former.confirmed_at).exists()
    return is_held or is_oldest or counts(user, former.confirmed_at, row.at)


def find(token: str) -> Notice | None:
    """Return the notice of the link with that token; None if it is used or expired."""
    link = codes.find_link(LINK, token)
    if link is None:
        return None
    row_id = link.subject.split()[1]
    row = Activity.objects.select_related("user").filter(pk=row_id).first()
    if row is None or row.user is None:
        return None
    return Notice(row, row.user, link.email, link.subject)


def spend(notice: Notice, token: str) -> bool:
    """Use up the link of ``notice``; return whether it was still valid.

    If several requests use a link at the same time, only one succeeds.
    """
    return codes.spend(LINK, notice.subject, token, notice.email)


def end_links(user: User, emails: Iterable[str]) -> None:
    """Invalidate every link that was mailed to ``emails`` for ``user``."""
    codes.issued(LINK, f"{user.pk} ").filter(email__in=list(emails)).delete()


def keep_earlier_links(notice: Notice) -> None:
    """Invalidate the links of ``notice`` and of later events that have the same address.

    Links of earlier events are marked instead: they still work while the account is locked.
    """
    links = codes.issued(LINK, f"{notice.user.pk} ").filter(email=notice.email)
    # All links have the same life, so their expiry orders them by event. Two statements are
    # enough, however many events a thief has caused.
    links.filter(expires_at__gte=notice.row.at + LINK.life).delete()
    links.exclude(subject__endswith=LOOKS_BACK).update(subject=Concat("subject", Value(LOOKS_BACK)))


def end_earlier_links(user: User) -> None:
    """Invalidate the links that :func:`keep_earlier_links` has marked.

    Called when the dispute is over. Otherwise the reader of a former mailbox could lock the account
    again and dispute the owner's newer credentials.
    """
    codes.issued(LINK, f"{user.pk} ").filter(subject__endswith=LOOKS_BACK).delete()


def _is_news(user: User, row: Activity) -> bool:
    """Return whether events of this kind are within the limit of an hour."""
    rows = Activity.objects.filter(user=user, kind=row.kind)
    return rows.filter(at__gt=clock.now() - timedelta(hours=1)).count() <= MOST_AN_HOUR

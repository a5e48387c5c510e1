"""Mails the owner what happened, each mail with its own link: "this wasn't me".

Anybody who has the link can lock the account, and nothing else: only a reset opens it again, by the
rule of ``accounts.users.disputes``.
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
from accounts.users.models import Address, User

LINK = Purpose("lockdown.link", life=DISPUTABLE)
# More mails of one kind an hour would only bury the first.
MOST_AN_HOUR = 20
# Ends the subject of a link whose address has locked the account by a later one.
LOOKS_BACK = " back"


@dataclass(frozen=True)
class Notice:
    """The event ``row`` that was mailed to ``address`` with a link; ``subject`` finds the link."""

    row: Activity
    user: User
    address: str
    subject: str

    @property
    def looks_back(self) -> bool:
        """Whether its address has locked the account already, by a later notice."""
        return self.subject.endswith(LOOKS_BACK)


def tell(user: User, row: Activity, former: Address | None) -> None:
    """Mail the event to the primary address and to ``former``, a former primary or removed one.

    A change is mailed to every address: a thief may read one of the mailboxes. While a lock is
    disputed, addresses that were suspended or removed get the mail too, without a link. Neither
    they nor addresses that are too young to count learn details.
    """
    if not _is_news(user, row):
        return
    told = [user.email, *([former.address] if former else [])]
    is_change = row.event.group is events.Group.CHANGE
    if is_change:
        told += user.addresses.order_by("pk").values_list("address", flat=True)
    is_locked = user.is_locked_down or row.event is events.LOCKED_DOWN
    # A thief's own address, once it is removed, must not lock the account.
    unlinked = {former.address} if former and not _may_lock(user, former, row) else set()
    young = _young(user) if user.disputed_at and is_change else set()
    for n, address in enumerate(filter(None, dict.fromkeys(told))):
        subject = f"{user.pk} {row.pk} {n}"
        has_link = not is_locked and address not in unlinked
        link = codes.issue_link(LINK, subject, address) if has_link else None
        is_doubtful = address in young
        post(mails.notice(user, row, address, link, is_locked=is_locked, is_doubtful=is_doubtful))
    if user.disputed_at and is_change:
        for email in formers.disputed_emails(user).exclude(label__in=told):
            post(mails.notice(user, row, email.label, None, is_doubtful=True))


def _young(user: User) -> set[str]:
    """Return the addresses of ``user`` that the account had not held for a week at the dispute."""
    at = user.disputed_at or clock.now()
    return {row.address for row in user.addresses.all() if not counts(user, row.confirmed_at, at)}


def _may_lock(user: User, former: Address, row: Activity) -> bool:
    is_held = user.addresses.filter(pk=former.pk).exists()
    is_oldest = not user.addresses.filter(confirmed_at__lt=former.confirmed_at).exists()
    return is_held or is_oldest or counts(user, former.confirmed_at, row.at)


def find(token: str) -> Notice | None:
    """Return the notice whose link has the secret ``token``; None if it is used or expired."""
    link = codes.find_link(LINK, token)
    if link is None:
        return None
    row_id = link.subject.split()[1]
    row = Activity.objects.select_related("user").filter(pk=row_id).first()
    if row is None or row.user is None:
        return None
    return Notice(row, row.user, link.address, link.subject)


def spend(notice: Notice, token: str) -> bool:
    """Spend the link; return whether it was good. Of many requests at once, one succeeds."""
    return codes.spend(LINK, notice.subject, token, notice.address)


def end_links(user: User, emails: Iterable[str]) -> None:
    """Invalidate every link that was mailed to ``emails`` for ``user``."""
    codes.issued(LINK, f"{user.pk} ").filter(address__in=list(emails)).delete()


def keep_earlier_links(notice: Notice) -> None:
    """End the links of this and later events at the address; mark the earlier ones."""
    links = codes.issued(LINK, f"{notice.user.pk} ").filter(address=notice.address)
    # Every link lives as long after its event: two statements, however many a thief has caused.
    links.filter(expires_at__gte=notice.row.at + LINK.life).delete()
    links.exclude(subject__endswith=LOOKS_BACK).update(subject=Concat("subject", Value(LOOKS_BACK)))


def end_earlier_links(user: User) -> None:
    """End the links that :func:`keep_earlier_links` has kept, because the dispute is over.

    Otherwise a former mailbox could date a later lock back to before the owner's newer credentials.
    """
    codes.issued(LINK, f"{user.pk} ").filter(subject__endswith=LOOKS_BACK).delete()


def _is_news(user: User, row: Activity) -> bool:
    """Return whether fewer mails of this kind than the limit went out within the hour."""
    rows = Activity.objects.filter(user=user, kind=row.kind)
    return rows.filter(at__gt=clock.now() - timedelta(hours=1)).count() <= MOST_AN_HOUR

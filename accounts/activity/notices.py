"""Notifies account owners about events by email.

A request can cause several events in several transactions: a sign-in with a recovery code that
makes the browser trusted causes three. Each transaction posts its own email, because a change and
its email commit together. If an earlier email of the same request is still in the outbox, the new
email replaces it and describes the events of both.

A notice contains a link to lock the account, in case somebody else caused the event. The link
allows nothing else, because anybody who reads the mailbox can use it. ``accounts.recovery.rule``
decides who can unlock the account.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

from accounts.activity import events, mails
from accounts.activity.events import Group
from accounts.activity.models import Activity
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock
from accounts.common.localization import writing_to
from accounts.mail.services import mass_mail, post, post_all, withdraw
from accounts.recovery.rule import BEFORE, MONTH
from accounts.users import former_credentials as formers
from accounts.users.models import EmailAddress, User


@dataclass(frozen=True)
class PostedMail:
    """An email that was put into the outbox in the current context of :func:`combine_mails`.

    Attributes:
        mail_id: the id of the email in the outbox.
        rows: the events that the email describes, oldest first.
        token: the secret of its link to lock the account, or None if it has no link.
    """

    mail_id: UUID
    rows: tuple[Activity, ...]
    token: str | None


_posted: ContextVar[dict[Hashable, PostedMail] | None] = ContextVar("posted", default=None)


@contextmanager
def combine_mails() -> Iterator[None]:
    """Return a context manager in which one email describes several events."""
    token = _posted.set({})
    try:
        yield
    finally:
        _posted.reset(token)


def mails_to_combine() -> dict[Hashable, PostedMail]:
    """Return the emails that were posted in the current context of :func:`combine_mails`.

    Outside of such a context, return a new dictionary.
    """
    emails = _posted.get()
    return {} if emails is None else emails


LINK = Purpose("lockdown.link", life=MONTH)
# The maximum number of notices about one kind of event per hour. More notices would hide the first.
MOST_AN_HOUR = 20


@dataclass(frozen=True)
class Notice:
    """An email with a link to lock the account, sent to ``email`` because of the event ``row``.

    ``subject`` is the subject of the emailed link (see ``accounts.codes``).
    """

    row: Activity
    user: User
    email: str
    subject: str


def tell(user: User, row: Activity, former: EmailAddress | None) -> None:
    """Notify ``user`` about the event ``row`` by email, within an hourly limit.

    The notice is sent to the primary address. If ``former`` is an address that was removed or is no
    longer primary, the notice is sent there, too.

    If the event is a change of the account, every address of the account is notified, because a
    thief may read one of the mailboxes. From a lock until the end of the review, suspended and
    removed addresses are notified as well, without a link. They may belong to a thief, and so may
    addresses that were added too recently to prove ownership. Therefore the notices to all of these
    addresses contain no details.
    """
    if not _is_news(user, row):
        return
    told = [user.email, *([former.email] if former else [])]
    is_change = row.event.group is Group.CHANGE
    if is_change:
        told += user.emails.order_by("pk").values_list("email", flat=True)
    is_locked = user.is_locked_down or row.event is events.LOCKED_DOWN
    # A removed address may belong to a thief, who must not be able to lock the account.
    unlinked = {former.email} if former and not _may_lock(user, former, row) else set()
    young = _recent_emails(user) if user.horizon and is_change else set()
    for n, email in enumerate(filter(None, dict.fromkeys(told))):
        # The deletion of a locked account can be undone, too.
        takes_link = not is_locked or row.event is events.DELETION_REQUESTED
        has_link = takes_link and email not in unlinked
        state = _Content(is_locked=is_locked, may_be_strangers=email in young)
        _notify(user, row, email, state, subject=f"{user.pk} {row.pk} {n}" if has_link else "")
    if row.event is events.DELETION_REQUESTED:
        _tell_removed(user, row, told)
    if user.horizon and is_change:
        for suspended in formers.notified_emails(user).exclude(label__in=told):
            _notify(user, row, suspended.label, _Content(may_be_strangers=True))


def _tell_removed(user: User, row: Activity, told: list[str]) -> None:
    """Notify the removed addresses that are not in ``told``, and add them to it.

    A thief may have removed the addresses of the owner before asking for the deletion, after which
    no lock helps.
    """
    for email in formers.trusted_emails(user):
        if email not in told:
            subject = f"{user.pk} {row.pk} {len(told)}"
            _notify(user, row, email, _Content(may_be_strangers=True), subject=subject)
            told.append(email)


def tell_many(events_of: Iterable[tuple[User, Sequence[Activity]]]) -> None:
    """Notify many users, each about some events, by mass mail. Each address gets one email.

    This takes a few statements for all users, and more for each user who is in a dispute.

    ``events_of``: each user, with prefetched ``emails``, and the events.
    """
    told: list[tuple[User, Sequence[Activity], str, str]] = []
    for user, rows in events_of:
        if user.horizon:
            with combine_mails(), mass_mail():
                for row in rows:
                    tell(user, row, None)
            continue
        addresses = [user.email, *(row.email for row in user.emails.all())]
        for n, email in enumerate(filter(None, dict.fromkeys(addresses))):
            subject = "" if user.is_locked_down else f"{user.pk} {rows[-1].pk} {n}"
            told.append((user, rows, email, subject))
    links = [(subject, email) for _user, _rows, email, subject in told if subject]
    subjects = [subject for subject, _email in links]
    tokens = dict(zip(subjects, codes.issue_links(LINK, links), strict=True))
    messages = []
    for user, rows, email, subject in told:
        with writing_to(user.language, user.time_zone):
            token = tokens.get(subject)
            is_locked = user.is_locked_down
            messages.append(mails.notice(user, rows, email, token, is_locked=is_locked))
    post_all(messages)


@dataclass(frozen=True)
class _Content:
    """The state that decides what a notice contains: see :func:`accounts.activity.mails.notice`."""

    is_locked: bool = False
    may_be_strangers: bool = False


def _notify(user: User, row: Activity, email: str, state: _Content, *, subject: str = "") -> None:
    """Notify ``email`` about ``row``, together with the earlier events of the same request.

    ``subject`` identifies the link to lock the account; the notice has no link if it is empty.
    Notices with different ``state`` are not combined, because one of them may contain less than the
    other.
    """
    act, key = mails_to_combine(), (user.pk, email, bool(subject), state)
    rows: tuple[Activity, ...] = (row,)
    token = None
    if (earlier := act.get(key)) and _is_live(earlier.token) and withdraw(earlier.mail_id):
        rows, token = (*earlier.rows, row), earlier.token
    elif subject:
        token = codes.issue_link(LINK, subject, email)
    with writing_to(user.language, user.time_zone):
        mail = mails.notice(user, rows, email, token, **asdict(state))
    act[key] = PostedMail(post(mail), rows, token)


def _is_live(token: str | None) -> bool:
    return token is None or codes.find_link(LINK, token) is not None


def _recent_emails(user: User) -> set[str]:
    """Return the addresses that ``user`` added too recently for them to prove ownership."""
    return set(user.emails.filter(confirmed_at__gt=user.horizon).values_list("email", flat=True))


def _may_lock(user: User, former: EmailAddress, row: Activity) -> bool:
    is_held = user.emails.filter(pk=former.pk).exists()
    is_oldest = not user.emails.filter(confirmed_at__lt=former.confirmed_at).exists()
    return is_held or is_oldest or former.confirmed_at <= row.at - BEFORE


def find_notice(token: str) -> Notice | None:
    """Return the notice with the link ``token``; None if the link was used or has expired."""
    link = codes.find_link(LINK, token)
    if link is None:
        return None
    row_id = link.subject.split()[1]
    row = Activity.objects.select_related("user").filter(pk=row_id).first()
    if row is None or row.user is None:
        return None
    return Notice(row, row.user, link.email, link.subject)


def redeem(notice: Notice, token: str) -> bool:
    """Use up the link of ``notice``; return whether the link was still valid.

    If several requests use a link at the same time, only one succeeds.
    """
    return codes.redeem(LINK, notice.subject, token, notice.email)


def end_links(user: User, emails: Iterable[str]) -> None:
    """Invalidate every link to lock the account of ``user`` that was sent to one of ``emails``."""
    codes.issued(LINK, f"{user.pk} ").filter(email__in=list(emails)).delete()


def _is_news(user: User, row: Activity) -> bool:
    """Return whether the hourly limit allows another notice about this kind of event."""
    hour = clock.now() - timedelta(hours=1)
    rows = Activity.objects.filter(user=user, kind=row.kind, at__gt=hour)
    # The slice keeps the count short when a program of staff has caused thousands of events.
    return rows[: MOST_AN_HOUR + 1].count() <= MOST_AN_HOUR

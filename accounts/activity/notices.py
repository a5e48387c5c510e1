"""Notifies account owners about events by email.

A request can cause several events in several transactions: a sign-in with a recovery code that
makes the browser trusted causes three. Each transaction posts its own email, because a change and
its email commit together. If an earlier email of the same request is still in the outbox, the new
email replaces it and describes the events of both.

A notice contains a link to lock the account, in case somebody else caused the event. The link
allows nothing else, because anybody who reads the mailbox can use it. ``accounts.recovery.rule``
decides who can unlock the account.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext

from accounts.activity import events
from accounts.activity.events import Group
from accounts.activity.models import OPERATOR, Activity
from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import client_info, clock, localization
from accounts.common.database import P, PreparedQuery
from accounts.common.localization import writing_to
from accounts.common.pages import absolute
from accounts.mail.message import TO_OWNER, TO_POSSIBLE_STRANGER, Message, staff_note
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

    The notice is sent to the primary address. If ``former`` is an address that was removed, the
    notice is sent there, too.

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
            messages.append(notice(user, rows, email, token, is_locked=is_locked))
    post_all(messages)


@dataclass(frozen=True)
class _Content:
    """The state that decides what a notice contains: see :func:`notice`."""

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
        mail = notice(user, rows, email, token, **asdict(state))
    act[key] = PostedMail(post(mail), rows, token)


def _is_live(token: str | None) -> bool:
    return token is None or codes.find_link(LINK, token) is not None


def _recent_emails(user: User) -> set[str]:
    """Return the addresses that ``user`` added too recently for them to prove ownership."""
    return set(user.emails.filter(confirmed_at__gt=user.horizon).values_list("email", flat=True))


def _may_lock(user: User, former: EmailAddress, row: Activity) -> bool:
    is_oldest = not user.emails.filter(confirmed_at__lt=former.confirmed_at).exists()
    return is_oldest or former.confirmed_at <= row.at - BEFORE


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


_ALIKE: PreparedQuery[Any] = PreparedQuery(
    lambda: Activity.objects.filter(user=P("user"), kind=P("event"), at__gt=P("since")).values("pk")
)


def _is_news(user: User, row: Activity) -> bool:
    """Return whether the hourly limit allows another notice about this kind of event."""
    hour = clock.now() - timedelta(hours=1)
    # The bound keeps the count short when a program of staff has caused thousands of events.
    found = _ALIKE.count(MOST_AN_HOUR + 1, user=user.pk, event=row.kind, since=hour)
    return found <= MOST_AN_HOUR


def notice(
    user: User,
    rows: Sequence[Activity],
    email: str,
    token: str | None,
    *,
    is_locked: bool = False,
    may_be_strangers: bool = False,
) -> Message:
    """Return the email that notifies ``user`` at the address ``email`` about the events ``rows``.

    Args:
        user: the owner of the account.
        rows: the events that one request has caused, oldest first.
        email: the address.
        token: the secret of the link to lock the account. Without it, the email links to the
            password reset if the account is locked, and has no link otherwise.
        is_locked: whether the account is locked.
        may_be_strangers: whether the address may belong to a thief. The email then contains neither
            details nor the username.
    """
    about = {"email": email, "username": user.username, "site": settings.AUTHSITE.site_name}
    about_email = TO_POSSIBLE_STRANGER if may_be_strangers else TO_OWNER
    subjects = dict.fromkeys(row.event.subject for row in rows)
    return Message(
        to=email,
        subject=" · ".join(subjects),
        heading=gettext("New activity on your account") if len(subjects) > 1 else "",
        greeting="" if may_be_strangers else gettext("Hello %(name)s,") % {"name": user.username},
        paragraphs=[gettext("Here’s what happened in your account at %(site)s:") % about],
        facts=_facts(rows, email, may_be_strangers=may_be_strangers),
        **_help(user, rows, token, is_locked=is_locked),
        closing=[] if may_be_strangers else _credit(rows[0].ip),
        reason=f"{about_email % about} {gettext('You can’t turn off security notices.')}",
    )


def _facts(
    rows: Sequence[Activity], email: str, *, may_be_strangers: bool
) -> list[tuple[str, str]]:
    """Return the rows of the table in the email: what happened, when, where and by whom."""
    facts = [
        *_what(rows, "" if may_be_strangers else email),
        (gettext("When"), localization.in_full(rows[0].at)),
    ]
    return facts if may_be_strangers else [*facts, *_details(rows)]


def _what(rows: Sequence[Activity], email: str) -> list[tuple[str, str]]:
    """Return the row that says what happened, without repeating the subject."""
    if len({row.event for row in rows}) > 1 or rows[0].event.says_more:
        return [(gettext("What"), "\n".join(dict.fromkeys(_sentence(row, email) for row in rows)))]
    details = "\n".join(dict.fromkeys(filter(None, (_named(row, email) for row in rows))))
    label = gettext("Email address") if "@" in details else gettext("Name")
    return [(label, details)] if details else []


def _sentence(row: Activity, email: str) -> str:
    """Return a sentence about the event; it names the credential if ``email`` may learn that."""
    sentence = str(row.event.sentence)
    if not (name := _named(row, email)):
        return sentence
    what, full_stop, advice = re.split("([.。])", sentence, maxsplit=1)
    has_colon = not {":", "："}.isdisjoint(what)
    named = f"{what} ({name})" if has_colon else localization.listed([what, name], ":")
    return named + full_stop + advice


def _named(row: Activity, email: str) -> str:
    """Return the name of the credential that ``row`` is about if ``email`` may learn it, else "".

    An email address is named only in the email to that address: somebody who reads a former mailbox
    must not learn the new address.
    """
    is_foreign = "@" in row.detail and row.detail != email
    # The email shows the device and the provider in rows, and the numbers in sentences.
    untold = (events.BROWSER_TRUSTED, *events.SIGN_INS)
    is_shown = row.event not in untold and not row.detail.isdigit()
    return row.detail if email and is_shown and not is_foreign else ""


def _details(rows: Sequence[Activity]) -> list[tuple[str, str]]:
    facts, row = [], rows[0]
    left = next((r.detail for r in rows if r.event is events.RECOVERY_CODE_USED), "")
    if left:
        facts.append((gettext("Recovery codes left"), left))
    if row.device:
        place = client_info.name(settings.AUTHSITE.geoip_file, row.ip)
        where = (gettext("Where"), f"{place} ({row.ip})")
        facts.append((gettext("Device"), str(row.device)))
        facts.append(where if place else (gettext("IP address"), row.ip))
    shown = [r.proof_words for r in rows if r.proof and r.event.group is Group.SIGN_IN]
    if shown:
        facts.append((gettext("Signed in with"), shown[-1]))
    if row.actor:
        operator, staff = gettext("The operator of this site"), gettext("A member of staff")
        by = operator if row.actor == OPERATOR else row.directory or staff
        facts.append((gettext("Done by"), by))
    if row.reason:
        facts += staff_note(row.reason)
    return facts


def _credit(ip: str) -> list[str]:
    """Return the link to DB-IP that the license of its location files requires."""
    path = settings.AUTHSITE.geoip_file
    is_due = client_info.name(path, ip) and client_info.is_of_dbip(path)
    return [f"{gettext('IP geolocation by DB-IP')}: https://db-ip.com/"] if is_due else []


def _help(
    user: User, rows: Sequence[Activity], token: str | None, *, is_locked: bool
) -> dict[str, Any]:
    """Return the questions and the button that help the owner after the events ``rows``."""
    is_deletion = any(row.event is events.DELETION_REQUESTED for row in rows)
    if token and is_deletion and user.deletion_due:
        (expected, _nothing), (unexpected, _lock) = _doubts(rows[0])["questions"]
        due = {"time": localization.in_full(user.deletion_due)}
        nothing = gettext("You don’t need to do anything. We’ll delete the account: %(time)s") % due
        answer = gettext("You can keep your account without signing in.")
        return {
            "questions": [(expected, nothing), (unexpected, answer)],
            "action_label": gettext("Keep my account"),
            "action_url": absolute("deletion_undo", token),
        }
    if token:
        return {"action_url": absolute("lockdown_link", token), **_doubts(rows[-1])}
    if is_locked:
        answer = gettext(
            "Nobody can sign in, including you, until you reset your password by email."
        )
        return {
            "questions": [(gettext("What now?"), answer)],
            "action_label": gettext("Reset my password"),
            "action_url": absolute("account_reset_password"),
        }
    return {}


def _doubts(row: Activity) -> dict[str, Any]:
    """Return the questions about ``row``, such as whether the owner caused the event."""
    expected, unexpected = gettext("Was this you?"), gettext("Not you?")
    label = gettext("It wasn’t me. Lock my account")
    answer = gettext("Lock your account. First, we’ll show you what the lock does.")
    if row.event is events.LOCK_ASKED:
        warning = gettext("Then someone else is signed in to your account. Lock your account.")
        questions = [(expected, answer), (unexpected, warning)]
        return {"questions": questions, "action_label": gettext("Lock my account")}
    if row.actor or row.is_by_itself:
        expected, unexpected = gettext("Did you expect this?"), gettext("Didn’t expect this?")
        label = gettext("Lock my account")
    if row.actor:
        answer = gettext(
            "Ask the team that runs %(site)s why this happened, or lock your account."
        ) % {"site": settings.AUTHSITE.site_name}
    nothing = gettext("If so, you don’t need to do anything.")
    return {"questions": [(expected, nothing), (unexpected, answer)], "action_label": label}

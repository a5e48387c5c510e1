"""The outbox. Call ``post`` inside the transaction of a change, and ``deliver_due`` outside of one.

Each email is sent at least once: it is deleted only after the mail server has accepted it. If a
sender process is killed, its lease on the email expires, and another sender takes over.
"""

import logging
import smtplib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any, TypeGuard
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, mailers
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.db.models.functions import TruncDate

from accounts.common import clock, crypto, metrics, secrets
from accounts.common.background import Background
from accounts.common.database import P, PreparedList, delete_in_batches
from accounts.common.leases import LeasedQueue
from accounts.common.localization import speaking, spoken
from accounts.common.personal_data import RECIPIENT
from accounts.mail.message import Message, NewerMessage
from accounts.mail.models import LONGEST_HEADING, MailReceipt, MassMailPace, OutgoingMail
from accounts.users import emails
from accounts.users.models import EmailAddress

_posted = Event()


def up() -> None:
    """Wake the sender thread, because there is a new email in the outbox."""
    _posted.set()


def sleep(seconds: float) -> None:
    """Wait until this process puts an email into the outbox, but at most for ``seconds``.

    The limit is needed because this process does not notice the emails of other processes.
    """
    _posted.wait(seconds)
    _posted.clear()


log = logging.getLogger(__name__)

PURPOSE = "outbox"
# The failure in a receipt if the mail server refused the recipient.
REFUSED = smtplib.SMTPRecipientsRefused.__name__
# The failure in a receipt if the code or link expired before the email was sent.
EXPIRED = "expired"
# The code with which a mail server refuses a recipient whose mailbox is full.
MAILBOX_FULL = 552
# How many emails are sent over one connection.
BATCH = 20
# How many emails a sender tries to claim, because other senders try to claim the same ones.
CANDIDATES = 5
# Senders sleep between rounds, so the mass mail of this time may be sent at once.
CATCH_UP = timedelta(seconds=2)
OUTBOX = LeasedQueue(
    OutgoingMail,
    # The lease is longer than any attempt to send an email: each step of the SMTP connection takes
    # 10 s at most.
    lease=timedelta(minutes=5),
    first_wait=timedelta(seconds=30),
    longest_wait=timedelta(hours=1),
    # RFC 5321 section 4.5.4.1: give up after 4 to 5 days.
    life=timedelta(days=5),
)
# The emails that this process cannot read, because a newer release has written them.
_left_to_newer: set[UUID] = set()
AGES = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
# Receipts are kept for this long, so that staff can look up the result of an email.
KEEP_RECEIPTS = timedelta(days=30)
# After a sign-in, the failed notices of this time are listed, up to this number.
REMIND_OF_FAILED, MOST_REMINDED = timedelta(days=7), 3


class Queue(IntEnum):
    """The priority of an email: the queue with the lowest number is sent first.

    ``CODES``: codes and links for which a member is waiting.
    ``NOTICES``: notices about one account.
    ``STRANGERS``: emails to a mailbox that a stranger names. They do not delay emails to members.
    ``MASS``: emails to many people; at most ``MAIL_PER_SECOND`` are sent.
    """

    CODES = 0
    NOTICES = 1
    STRANGERS = 2
    MASS = 3


_mass: ContextVar[UUID | None] = ContextVar("mass", default=None)


@contextmanager
def mass_mail(mass: UUID | None = None) -> Iterator[None]:
    """Return a context manager in which notices are mass mail. Use it to act on many people.

    ``mass``: the id of the mass mail, by default that of the outer context, or a new one.
    """
    token = _mass.set(mass or _mass.get() or secrets.public_id())
    try:
        yield
    finally:
        _mass.reset(token)


def post(message: Message, *, life: timedelta | None = None, queue: Queue = Queue.NOTICES) -> UUID:
    """Put ``message`` into the outbox, and return its id. It is sent if the transaction commits.

    ``life`` is the lifetime of the code or link in the email; an expired email is not sent. A
    message to an empty address is stored and rendered but not sent, so that a request takes the
    same time for unknown people.
    """
    mail = _outgoing(message, life, queue)
    mail.save(force_insert=True)
    transaction.on_commit(up)
    return mail.pk


def post_all(messages: Iterable[Message]) -> None:
    """Put ``messages`` into the outbox as mass mail. They are sent if the transaction commits."""
    with mass_mail():
        OutgoingMail.objects.bulk_create(_outgoing(each, None, Queue.NOTICES) for each in messages)
    transaction.on_commit(up)


def _outgoing(message: Message, life: timedelta | None, queue: Queue) -> OutgoingMail:
    mass = _mass.get() if queue is Queue.NOTICES else None
    return OutgoingMail(
        sealed=crypto.seal(message.to_json(), PURPOSE),
        queue=Queue.MASS if mass else queue,
        mass=mass,
        expires_at=clock.now() + life if life else None,
        recipient=secrets.digest(emails.key(message.to), RECIPIENT),
        heading=message.title[:LONGEST_HEADING],
    )


def post_to_mailbox(
    key: str,
    to_stranger: Callable[[], Message],
    to_owner: Callable[[str], Message],
    *,
    life: timedelta,
    queue: Queue = Queue.STRANGERS,
    is_sent: bool = True,
) -> None:
    """Post an email to a mailbox that a client has named, in the language of its owner.

    ``key``: the canonical form of the email address.
    ``to_stranger``: returns the email if no account has the address.
    ``to_owner``: returns the email to the owner, given the stored address. This may differ from the
        typed spelling (CVE-2019-19844).
    ``is_sent``: if False, the email has no recipient and is not sent; the same work is done.
    """
    row = EmailAddress.objects.select_related("user").filter(key=key).first()
    with speaking(row.user.language if row else spoken()):
        message = to_owner(row.email) if row else to_stranger()
        post(message if is_sent else replace(message, to=""), life=life, queue=queue)


def withdraw(mail_id: UUID) -> bool:
    """Delete an email that no sender has claimed yet; return whether it was deleted."""
    return bool(OutgoingMail.objects.filter(pk=mail_id, attempts=0).delete()[0])


def deliver_due(is_stopping: Callable[[], bool] = bool, rest: timedelta = timedelta()) -> int:
    """Send emails that have been due for at least ``rest``; return how many were sent.

    ``is_stopping``: returns whether to send no more emails, because the process ends.

    Emails are sent in the order of queue and age, over one connection to the mail server. The next
    email is chosen after each email, because a code may have been posted meanwhile. Several senders
    can work at the same time.
    """
    connection = mailers.default
    sent = 0
    try:
        for _ in range(BATCH):
            mail = None if is_stopping() else _claim_next(rest)
            if mail is None:
                break
            sent += _deliver(mail, connection)
    finally:
        connection.close()
    return sent


def _claim_next(rest: timedelta) -> OutgoingMail | None:
    for queue in Queue:
        pks = _readable(OUTBOX.first_due(CANDIDATES + len(_left_to_newer), rest, queue=queue))
        if pks and (queue is not Queue.MASS or _may_send_mass_mail()):
            return _claim_one_of(pks)
    ahead = OUTBOX.ahead(CANDIDATES + len(_left_to_newer), queue__in=list(Queue))
    return _claim_one_of(_readable(ahead))


def _readable(pks: Iterable[UUID]) -> list[UUID]:
    return [pk for pk in pks if pk not in _left_to_newer]


def _claim_one_of(pks: Iterable[UUID]) -> OutgoingMail | None:
    return next((mail for pk in pks for mail in OUTBOX.claim([pk])), None)


def _may_send_mass_mail() -> bool:
    """Return whether another mass email may be sent now; if so, count it."""
    now, pause = clock.now(), timedelta(seconds=1) / settings.AUTHSITE.mail_per_second
    earliest = now - CATCH_UP
    pace, _is_new = MassMailPace.objects.get_or_create(pk=1, defaults={"next_at": earliest})
    # No pause is longer than a second. If this one seems to be, the clock has been set back.
    if now < pace.next_at <= now + timedelta(seconds=1):
        return False
    begin = earliest if pace.next_at > now else max(pace.next_at, earliest)
    # If several senders have read the same row, only one of them changes it.
    same = MassMailPace.objects.filter(pk=1, next_at=pace.next_at)
    return bool(same.update(next_at=begin + pause))


def lengths() -> dict[Queue, int]:
    """Return, for each queue, the number of waiting emails."""
    rows = OutgoingMail.objects.order_by().values_list("queue").annotate(Count("pk"))
    found = dict(rows)
    return {queue: found.get(queue, 0) for queue in Queue}


def delays() -> dict[Queue, float]:
    """Return, for each queue, the age of the oldest waiting email in seconds.

    This does not count emails whose recipients the mail server has refused.
    """
    return {queue: OUTBOX.delay(queue=queue, refused_at=None) for queue in Queue}


def refused() -> QuerySet[OutgoingMail]:
    """Return the waiting emails whose refusals suggest that the mail server refuses everybody.

    The server has refused their recipients, and has accepted no email since. If only one recipient
    was refused, who may not exist, this counts only if the server has accepted an email to this
    recipient in the last 30 days, or no email to anybody.
    """
    later = _accepted().filter(done_at__gt=OuterRef("refused_at"))
    found = OutgoingMail.objects.filter(~Exists(later), refused_at__isnull=False)
    others = found.exclude(recipient=OuterRef("recipient"))
    earlier = _accepted().filter(recipient=OuterRef("recipient"))
    return found.filter(Exists(others) | Exists(earlier) | ~Exists(_accepted()))


def _accepted() -> QuerySet[MailReceipt]:
    """Return the receipts of the emails that a mail server has accepted."""
    receipts = MailReceipt.objects.filter(failure="")
    # Emails without a recipient have a receipt, too.
    return receipts.exclude(recipient__in=secrets.digests("", RECIPIENT))


def longest_delay(found: Mapping[Queue, float]) -> float:
    """Return the age in seconds of the oldest email in ``found``, which :func:`delays` returned.

    Mass mail does not count, because it is slowed down.
    """
    return max(seconds for queue, seconds in found.items() if queue is not Queue.MASS)


@dataclass(frozen=True)
class MassMail:
    """A mass mail whose emails are not all sent yet.

    ``heading``: the heading of one of its emails.
    ``sent``, ``total``: how many of its emails have left the outbox, and how many there are so far.
    ``ends_at``: when the last email will leave the outbox, if nothing but the rate delays it.
    """

    heading: str
    sent: int
    total: int
    ends_at: datetime


def mass_mails() -> list[MassMail]:
    """Return the mass mails that are not completely sent, in the order in which they are sent."""
    waiting: QuerySet[Any, Any] = OutgoingMail.objects.filter(queue=Queue.MASS).values_list("mass")
    rows = waiting.annotate(Min("heading"), Count("pk"), first=Min("created_at")).order_by("first")
    receipts = MailReceipt.objects.filter(mass__in=[mass for mass, *_ in rows])
    sent = Counter(dict(receipts.order_by().values_list("mass").annotate(Count("pk"))))
    found, ends_at = [], clock.now()
    for mass, heading, left, _first in rows:
        ends_at += timedelta(seconds=left / settings.AUTHSITE.mail_per_second)
        found.append(MassMail(heading, sent[mass], sent[mass] + left, ends_at))
    return found


def ages() -> dict[Queue, list[int]]:
    """Return, for each queue, how many emails wait for under a minute, hour or day, or longer."""
    now = clock.now()
    is_older = [Q(created_at__lte=now - age) for age in AGES]
    filters = [~is_older[0], *(a & ~b for a, b in pairwise(is_older)), is_older[-1]]
    columns = {f"age{place}": Count("pk", filter=each) for place, each in enumerate(filters)}
    rows = OutgoingMail.objects.order_by().values_list("queue").annotate(**columns)
    found = {queue: numbers for queue, *numbers in rows}
    return {queue: found.get(queue, [0] * len(columns)) for queue in Queue}


# How many emails a page about a person shows at most.
MOST_SHOWN = 20
_WAITING = PreparedList(
    lambda digests: (
        OutgoingMail.objects.filter(recipient__in=digests)
        .defer("sealed")
        .order_by("-created_at")[:MOST_SHOWN]
    )
)
_RECEIPTS = PreparedList(
    lambda digests: MailReceipt.objects.filter(recipient__in=digests).order_by("-done_at")[
        :MOST_SHOWN
    ]
)


def waiting_for(addresses: Iterable[str]) -> list[OutgoingMail]:
    """Return the emails to ``addresses`` that are still in the outbox, newest first."""
    return _WAITING.all(_digests(addresses))


def receipts_of(addresses: Iterable[str]) -> list[MailReceipt]:
    """Return the receipts of the emails to ``addresses`` in the last 30 days, newest first."""
    return _RECEIPTS.all(_digests(addresses))


def undelivered_notices() -> QuerySet[MailReceipt]:
    """Return the receipts of the notices of the last week that could not be delivered."""
    return _undelivered(clock.now() - REMIND_OF_FAILED)


def _undelivered(since: datetime | P) -> QuerySet[MailReceipt]:
    return MailReceipt.objects.filter(is_notice=True, done_at__gt=since).exclude(failure="")


_FAILED = PreparedList(
    lambda digests: (
        _undelivered(P("since")).filter(recipient__in=digests).order_by("-done_at")[:MOST_REMINDED]
    )
)


def failures() -> QuerySet[MailReceipt, tuple[date, str, int]]:
    """Return the number of failed emails by day (UTC) and reason, for the last 30 days."""
    rows = MailReceipt.objects.exclude(failure="").values_list(TruncDate("done_at"), "failure")
    return rows.annotate(Count("pk")).order_by()


def failed_notices(addresses: Iterable[str]) -> list[str]:
    """Return the headings of the notices of the last week that could not be delivered."""
    since = clock.now() - REMIND_OF_FAILED
    return [row.heading for row in _FAILED.all(_digests(addresses), since=since)]


def prune() -> int:
    """Delete receipts that are older than 30 days; return how many were deleted."""
    old = MailReceipt.objects.filter(done_at__lte=clock.now() - KEEP_RECEIPTS)
    return delete_in_batches(old)


def _digests(addresses: Iterable[str]) -> list[str]:
    keys = {emails.key(address) for address in addresses if address}
    return [digest for key in keys for digest in secrets.digests(key, RECIPIENT)]


def _deliver(mail: OutgoingMail, connection: BaseEmailBackend) -> bool:
    if mail.expires_at and mail.expires_at <= clock.now():
        log.warning("Email %s expired before it could be sent", mail.pk)
        _settle(mail, failure=REFUSED if mail.refused_at else EXPIRED)
        return False
    try:
        message = Message.from_json(crypto.unseal(mail.sealed, PURPOSE))
        email = message.email(str(mail.pk))
        if message.to:
            connection.open()
            connection.send_messages([email])
        else:
            # Do the same work as for a real recipient. Otherwise the speed of other requests would
            # reveal whether an email is sent.
            email.message().as_bytes()
    except Exception as error:  # no error may lose this email or delay others
        _put_off(mail, error)
        # The connection may be broken. The next email opens a new connection.
        connection.close()
        return False
    _settle(mail)
    return True


@transaction.atomic
def _settle(mail: OutgoingMail, *, failure: str = "") -> None:
    """Replace the email in the outbox with a receipt."""
    mail_id = mail.pk
    if mail.delete()[0]:
        MailReceipt.objects.create(
            id=mail_id,
            recipient=mail.recipient,
            heading=mail.heading,
            mass=mail.mass,
            created_at=mail.created_at,
            failure=failure,
            is_notice=mail.queue in {Queue.NOTICES, Queue.MASS},
        )
    if failure:
        cause = {EXPIRED: failure, REFUSED: "refused"}.get(failure, "age")
        metrics.MAILS_LOST.labels(cause).inc()


def _put_off(mail: OutgoingMail, error: Exception) -> None:
    """Schedule the email again after a growing pause, or delete it if it cannot be delivered.

    A mail server with wrong settings may refuse everybody. Therefore a recipient counts as
    nonexistent only if the server refuses it again after it has accepted emails to others. If a
    mailbox is full, the email is repeated, because somebody else may have filled it.

    An email that only newer releases can read is released for them, and this process does not try
    it again.
    """
    is_final = False
    if _is_refusal(error):
        if mail.refused_at is None:
            mail.refused_at = clock.now()
            # The account may have been deleted meanwhile, and the email with it.
            OutgoingMail.objects.filter(pk=mail.pk).update(refused_at=mail.refused_at)
        others = _accepted().exclude(recipient=mail.recipient)
        is_final = others.filter(done_at__gt=mail.refused_at).exists() and not _is_full(error)
    if is_final or clock.now() - mail.created_at > OUTBOX.life:
        log.error("Email %s can't be delivered, giving up: %s", mail.pk, type(error).__name__)
        _settle(mail, failure=type(error).__name__)
        return
    if isinstance(error, NewerMessage):
        _left_to_newer.add(mail.pk)
        OUTBOX.release([mail])
        log.warning("Email %s is left to a node of a newer version, which has written it", mail.pk)
        return
    wait = OUTBOX.pause(mail)
    log.warning("Email %s not sent, next attempt in %s: %s", mail.pk, wait, type(error).__name__)
    OUTBOX.put_off([mail])


def _is_full(refusal: smtplib.SMTPRecipientsRefused) -> bool:
    """Return whether the mailbox is full (RFC 5321 section 4.2.3, RFC 3463 section 3.3)."""
    answers = refusal.recipients.values()
    return any(code == MAILBOX_FULL or b"5.2.2" in reason for code, reason in answers)


def _is_refusal(error: Exception) -> TypeGuard[smtplib.SMTPRecipientsRefused]:
    """Return whether the mail server has permanently refused the recipient (RFC 5321, 4.2.1)."""
    return isinstance(error, smtplib.SMTPRecipientsRefused) and all(
        500 <= code < 600 for code, _reason in error.recipients.values()
    )


LOOK_EVERY_SECONDS = 1.0
# How long the sender sleeps while the outbox is empty. An email of a command or another node waits
# this long at most.
LOOK_IDLE_SECONDS = 5.0
# The sender waits for this time, so that the request that posted the email is answered first. Both
# share one interpreter, and an email to a person occupies it longer than an email to nobody.
# Without the wait, the duration of the request would reveal whether the person exists.
REST = timedelta(milliseconds=200)


def start() -> None:
    """Start the sender thread of this process, unless it is running.

    If the process is killed, another sender sends its emails after their leases have expired.
    """
    _thread.start()


def _send() -> float:
    if not OutgoingMail.objects.exists():
        return LOOK_IDLE_SECONDS
    return 0.0 if deliver_due(_thread.stopping.is_set, REST) else LOOK_EVERY_SECONDS


def _sleep(seconds: float) -> None:
    sleep(seconds)
    _thread.stopping.wait(REST.total_seconds())


_thread = Background("outbox", _send, sleep=_sleep, wake=up)


class FileBackend(BaseEmailBackend):
    """Writes each email to ``FOLDER/<time>-<random>.eml``. Incomplete files have another name."""

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Path(folder)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for mail in email_messages:
            path = self.folder / f"{clock.now():%Y%m%dT%H%M%S%f}-{secrets.hexadecimal(16)[:8]}.eml"
            draft = path.with_suffix(".part")
            draft.write_bytes(mail.message().as_bytes())
            draft.rename(path)
        return len(email_messages)

"""The outbox. ``post`` inside the transaction of a change; ``deliver_due`` outside of any.

A mail leaves at least once: it's deleted only after the mail server took it, and a sender that
dies gives its lease back by letting it run out.
"""

import json
import logging
import smtplib
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum

from django.core.mail import mailers
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Count, Min

from accounts.common import clock, crypto
from accounts.mail import wake
from accounts.mail.message import Message
from accounts.mail.models import OutgoingMail

log = logging.getLogger(__name__)

PURPOSE = "outbox"
BATCH = 20
# Longer than any attempt: the connection times out after 10 s a step.
LEASE = timedelta(minutes=5)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
# RFC 5321 section 4.5.4.1: give up after 4 to 5 days.
GIVE_UP = timedelta(days=5)


class Queue(IntEnum):
    """Who waits for a mail: what members need leaves before what strangers caused."""

    MEMBERS = 0
    STRANGERS = 1


def post(message: Message, *, life: timedelta | None = None, queue: Queue = Queue.MEMBERS) -> None:
    """Put ``message`` into the outbox; it leaves when the transaction has committed, or never.

    After ``life``, the life of the code or link that it carries, it isn't sent any more. A mail to
    nobody is stored and built as well but never sent: strangers cost what members do.
    """
    OutgoingMail.objects.create(
        sealed=crypto.seal(message.to_json(), PURPOSE),
        queue=queue,
        expires_at=clock.now() + life if life else None,
    )
    transaction.on_commit(wake.up)


def deliver_due(is_stopping: Callable[[], bool] = bool, rest: timedelta = timedelta()) -> int:
    """Send what has been due for ``rest``, by queue and age, and return how many mails left.

    A batch leaves by one connection to the mail server. Several senders share the work. What is
    left waits once ``is_stopping``.
    """
    before = clock.now() - rest
    due = OutgoingMail.objects.filter(due_at__lte=before).order_by("queue", "due_at")[:BATCH]
    connection = mailers.default
    try:
        return sum(_deliver(m, connection) for m in due if not is_stopping() and _claim(m))
    finally:
        connection.close()


def waiting() -> dict[Queue, tuple[int, float]]:
    """Return for each queue how many mails wait, and the age of the oldest in seconds."""
    rows = OutgoingMail.objects.values("queue").annotate(
        count=Count("pk"), oldest=Min("created_at")
    )
    found = {row["queue"]: (row["count"], row["oldest"]) for row in rows}
    now = clock.now()
    return {
        queue: (count, max(0.0, (now - oldest).total_seconds()))
        for queue in Queue
        for count, oldest in [found.get(queue, (0, now))]
    }


def _claim(mail: OutgoingMail) -> bool:
    """Take the mail for the length of a lease, unless another sender was first."""
    unclaimed = OutgoingMail.objects.filter(pk=mail.pk, due_at=mail.due_at)
    return bool(unclaimed.update(due_at=clock.now() + LEASE, attempts=mail.attempts + 1))


def _deliver(mail: OutgoingMail, connection: BaseEmailBackend) -> bool:
    if mail.expires_at and mail.expires_at <= clock.now():
        log.warning("Email %s expired before it could be sent", mail.pk)
        mail.delete()
        return False
    try:
        message = Message(**json.loads(crypto.unseal(mail.sealed, PURPOSE)))
        email = message.email(str(mail.pk))
        if message.to:
            connection.open()
            connection.send_messages([email])
        else:
            # As much work as sending: other requests, slower meanwhile, would tell the two apart.
            email.message().as_bytes()
    except Exception as error:  # whatever the reason, the mail must not be lost nor stop others
        _put_off(mail, error)
        # Perhaps it was the connection; the next mail opens another.
        connection.close()
        return False
    mail.delete()
    return True


def _put_off(mail: OutgoingMail, error: Exception) -> None:
    """Try again later, a little later each time; give up on what can't ever arrive."""
    if _is_final(error) or clock.now() - mail.created_at > GIVE_UP:
        log.error("Email %s can't be delivered, giving up: %s", mail.pk, type(error).__name__)
        mail.delete()
        return
    wait = min(FIRST_WAIT * 2 ** min(mail.attempts, 10), LONGEST_WAIT)
    log.warning("Email %s not sent, next attempt in %s: %s", mail.pk, wait, type(error).__name__)
    OutgoingMail.objects.filter(pk=mail.pk).update(due_at=clock.now() + wait)


def _is_final(error: Exception) -> bool:
    """Whether the mail server refused this recipient for good (RFC 5321 section 4.2.1)."""
    return isinstance(error, smtplib.SMTPRecipientsRefused) and all(
        500 <= code < 600 for code, _reason in error.recipients.values()
    )

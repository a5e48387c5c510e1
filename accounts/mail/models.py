"""The models of the outbox and of the results of its emails."""

from django.db import models

from accounts.common import clock, secrets
from accounts.common.leases import Leased

LONGEST_HEADING = 200


class OutgoingMail(Leased):
    """An email in the outbox, stored in the transaction of the change that the email reports.

    ``sealed`` is encrypted, because the email may contain a code or link, which the database stores
    only as a digest elsewhere. Emails with a lower ``queue`` are sent first. The row is deleted
    when the email has been sent.

    ``mass``: the id of the mass mail that the email belongs to; null if it belongs to none.
    ``refused_at``: when the mail server first refused the recipient; null if it never did.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    sealed = models.TextField()
    queue = models.PositiveSmallIntegerField(default=0)
    mass = models.UUIDField(null=True)
    # When the code or link in the email expires. The email is not sent after this time. Null if the
    # email contains no code or link.
    expires_at = models.DateTimeField(null=True)
    # The same digest as in ``MailReceipt``.
    recipient = models.CharField(max_length=64, blank=True, default="")
    heading = models.CharField(max_length=LONGEST_HEADING, blank=True, default="")
    refused_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("queue", "due_at"), name="mails_to_leave"),
            models.Index(fields=("queue", "created_at"), name="mails_by_age"),
            models.Index(fields=("recipient",), name="mails_by_recipient"),
            models.Index(
                fields=("refused_at",),
                name="refused_mails",
                condition=models.Q(refused_at__isnull=False),
            ),
        )


class MassMailPace(models.Model):
    """The single row by which all senders together observe ``MAIL_PER_SECOND``.

    ``next_at``: the time from which the next mass email may be sent.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    next_at = models.DateTimeField()


class MailReceipt(models.Model):
    """The result of an email that has left the outbox, without its content.

    ``recipient``: a digest of the email address.
    ``heading``: the heading of the email, which contains no code.
    ``mass``: as in ``OutgoingMail``.
    ``failure``: why the email was not sent, as the name of an error or "expired"; empty if the mail
        server has accepted it.
    ``is_notice``: whether the email was a notice about an event.
    """

    id = models.UUIDField(primary_key=True)
    recipient = models.CharField(max_length=64)
    heading = models.CharField(max_length=LONGEST_HEADING, blank=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(default=clock.now, db_index=True)
    failure = models.CharField(max_length=60, blank=True)
    is_notice = models.BooleanField(default=False, db_default=False)
    mass = models.UUIDField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("recipient", "-done_at"), name="receipts_by_recipient"),
            models.Index(
                fields=("mass",),
                name="receipts_of_mass_mail",
                condition=models.Q(mass__isnull=False),
            ),
        )

"""The model of the outbox."""

from django.db import models

from accounts.common import clock, secrets


class OutgoingMail(models.Model):
    """An email in the outbox, stored in the transaction of the change that the email reports.

    ``sealed`` is encrypted, because the email may contain a code or link, which the database stores
    only as a digest elsewhere. Emails with a lower ``queue`` are sent first. Each attempt to send
    moves ``due_at`` ahead, so that no other sender tries at the same time. The row is deleted when
    the email has been sent.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    sealed = models.TextField()
    created_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now, db_index=True)
    queue = models.PositiveSmallIntegerField(default=0, db_default=0)
    # When the code or link in the email expires. The email is not sent after this time. Null if the
    # email contains no code or link.
    expires_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=("queue", "due_at"), name="mails_to_leave"),)

    def __str__(self) -> str:
        return str(self.id)

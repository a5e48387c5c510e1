"""Mail that waits to leave."""

from django.db import models

from accounts.common import clock, secrets


class OutgoingMail(models.Model):
    """A mail, written in the transaction of the change that it tells of.

    ``sealed`` is encrypted: it may hold a code or a link that is otherwise only kept as a digest.
    Mails of a lower ``queue`` leave first, and the row goes when the mail has left. ``due_at``
    moves ahead with each attempt, so that it is the lease of whoever is sending, too.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    sealed = models.TextField()
    created_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now, db_index=True)
    queue = models.PositiveSmallIntegerField(default=0, db_default=0)
    # After this the mail carries nothing that is good; empty: a notice.
    expires_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=("queue", "due_at"), name="mails_to_leave"),)

    def __str__(self) -> str:
        return str(self.id)

"""Mail that waits to leave."""

from django.db import models

from accounts.kernel import clock, secrets


class OutgoingMail(models.Model):
    """A mail, written in the transaction of the change that it tells of.

    ``sealed`` is encrypted: it may hold a code or a link that is otherwise only kept as a digest.
    The row goes when the mail has left. ``due_at`` moves ahead with each attempt, so that it is
    the lease of whoever is sending, too.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    sealed = models.TextField()
    created_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now, db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.id)

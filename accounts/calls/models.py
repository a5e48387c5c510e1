"""The model that stores which calls have created something."""

from django.db import models

from accounts.common import clock


class CreatingCall(models.Model):
    """A call with an ``Idempotency-Key`` that has created an object.

    ``digest``: a digest of the key, the call and who made it. ``body``: an HMAC of the request's
    body, keyed by the key itself. The key is not stored, so whoever reads the table cannot test
    guesses at the body, which may contain a password. ``status``: the status of the answer.
    ``owner``: the id of the account, or of the sign-up that becomes an account.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    body = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    object_id = models.CharField(max_length=64)
    owner = models.UUIDField(db_index=True)
    created_at = models.DateTimeField(default=clock.now, db_index=True)

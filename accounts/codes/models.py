"""The models of emailed codes and links, and of values that work only once."""

from django.db import models


class Code(models.Model):
    """An emailed code or link. A newer one for the same purpose and subject replaces it."""

    purpose = models.CharField(max_length=32)
    subject = models.CharField(max_length=64)
    # The canonical form of the email address that the secret was sent to. The secret proves only
    # this address.
    email = models.CharField(max_length=254, blank=True)
    digest = models.CharField(max_length=64, db_index=True)
    tries_left = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("purpose", "subject"), name="one_code_a_subject"),
        )


class UsedOnce(models.Model):
    """A value that works only once and was used. The row is stored until the value expires."""

    # The purpose and the digest of the value: see ``accounts.codes.services``.
    key = models.CharField(primary_key=True, max_length=80)
    until = models.DateTimeField(db_index=True)

"""The model of the codes and links that are sent by mail."""

from django.db import models


class Code(models.Model):
    """A mailed code or link. A newer one for the same purpose and subject replaces it."""

    purpose = models.CharField(max_length=32)
    subject = models.CharField(max_length=64)
    # The canonical form of the address that the secret was mailed to, the only one that it proves.
    email = models.CharField(max_length=254, blank=True, db_column="address")
    digest = models.CharField(max_length=64, db_index=True)
    tries_left = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("purpose", "subject"), name="one_code_a_subject"),
        )

    def __str__(self) -> str:
        return f"{self.purpose} for {self.subject}"

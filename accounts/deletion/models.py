"""What a deleted account may have left outside of its rows."""

from django.db import models

from accounts.common import clock


class Erasure(models.Model):
    """The id of an account whose rows are deleted, and whose remains outside of them may not be."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return str(self.id)

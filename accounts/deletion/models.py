"""The model of deleted accounts whose data outside of their rows is not deleted yet."""

from django.db import models

from accounts.common import clock


class Erasure(models.Model):
    """A deleted account that may have left data outside of its rows.

    An example are copies of values in unused parts of an SQLite file.
    """

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(default=clock.now)

"""The model of erased accounts that still have data outside of their rows."""

from django.db import models

from accounts.common import clock


class Erasure(models.Model):
    """An erased account that may still have data outside of its rows.

    An example are copies of values in unused parts of an SQLite file.
    """

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(default=clock.now)

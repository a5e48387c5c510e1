"""How far the import of each file has come."""

from datetime import timedelta

from django.db import models

from accounts.common import clock

# So long, an address that the other system had not verified can be confirmed.
UNVERIFIED_LIFE = timedelta(days=90)


class ImportedFile(models.Model):
    """A file that was imported, or is being imported.

    ``digest``: the SHA-256 of the file. ``rows``: how many of its rows are done, imported or
    refused. An import that was killed goes on after them.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    rows = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=clock.now)

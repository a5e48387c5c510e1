"""The model that stores the progress of the import of each file."""

from datetime import timedelta

from django.db import models

from accounts.common import clock

# For this long, an address that the other system had not verified can be confirmed.
UNVERIFIED_LIFE = timedelta(days=90)


class ImportedFile(models.Model):
    """A file that was imported, or is being imported.

    ``digest``: the SHA-256 of the file. ``rows``: how many of its rows were imported or refused. An
        import that was killed continues after these rows.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    rows = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=clock.now)

"""When the commands that operators schedule have last succeeded."""

from django.db import models


class LastSuccess(models.Model):
    """When ``command`` has last succeeded; ``NEVER`` if it has failed since.

    Readiness writes the row ``health``.
    """

    command = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

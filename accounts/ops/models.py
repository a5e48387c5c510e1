"""The model of the last success of each scheduled command."""

from django.db import models


class LastSuccess(models.Model):
    """When ``command`` last succeeded; ``NEVER`` if it has failed since.

    The readiness check writes the row ``health``.
    """

    command = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

"""The models of requested exports and of their files."""

from django.db import models

from accounts.common import secrets
from accounts.common.leases import Leased
from accounts.users.models import User


class Export(Leased):
    """A request of a user to export their data. The row is kept for a day, even if downloaded.

    ``steps_done``, ``steps``: how many tables have been written, and how many there are.
    ``size``: the length of the file in bytes.
    ``made_at``: when the file was complete; null until then.
    ``fetched_at``: when it was downloaded; null until then.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    steps_done = models.PositiveSmallIntegerField(default=0)
    steps = models.PositiveSmallIntegerField(default=1)
    size = models.PositiveBigIntegerField(default=0)
    made_at = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(null=True)


class ExportPart(models.Model):
    """An encrypted piece of the file of an export.

    ``lease``: the lease under which it was written. Pieces of earlier leases are ignored.
    """

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    lease = models.UUIDField()
    number = models.PositiveIntegerField()
    sealed = models.TextField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("export", "lease", "number"), name="export_parts"),
        )

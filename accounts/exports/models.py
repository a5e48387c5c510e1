"""The models of exports that people have asked for."""

from django.db import models

from accounts.common import secrets
from accounts.common.leases import Leased
from accounts.users.models import User


class Export(Leased):
    """A request of a user for their data. The row stays for a day, also after the file is fetched.

    ``steps_done``, ``steps``: how many tables have been written, of how many.
    ``size``: the length of the file in bytes.
    ``made_at``: when the file was complete; null until then.
    ``fetched_at``: when it was fetched; null until then.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    steps_done = models.PositiveSmallIntegerField(default=0)
    steps = models.PositiveSmallIntegerField(default=1)
    size = models.PositiveBigIntegerField(default=0)
    made_at = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(null=True)


class ExportPart(models.Model):
    """A piece of the file of an export, encrypted.

    ``lease``: the lease under which it was written. Pieces of another lease are of no use.
    """

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    lease = models.UUIDField()
    number = models.PositiveIntegerField()
    sealed = models.TextField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("export", "lease", "number"), name="export_parts"),
        )

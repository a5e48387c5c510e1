"""The models of bulk acts and their people."""

from django.db import models

from accounts.activity.models import LONGEST_REASON
from accounts.common import clock, secrets
from accounts.users.models import User


class BulkAct(models.Model):
    """An act of staff on many people, done in several requests.

    ``act``: the name of the act.
    ``started_at``: when staff gave the reason and started it; null before that.
    ``ended_at``: when nobody was left, or it was stopped; null before that.
    ``stopped``: why it was stopped: a key of ``bulk.STOPS``; empty if it was not.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    staff = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    act = models.CharField(max_length=40)
    reason = models.CharField(max_length=LONGEST_REASON, blank=True)
    created_at = models.DateTimeField(default=clock.now, db_index=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    stopped = models.CharField(max_length=40, blank=True)

    class Meta:
        # Roles decide who may act, so the table has no permissions.
        default_permissions = ()


class BulkPerson(models.Model):
    """A person whom a bulk act concerns.

    ``outcome``: a key of ``bulk.OUTCOMES``; empty as long as nothing was done.
    """

    bulk = models.ForeignKey(BulkAct, on_delete=models.CASCADE, related_name="people")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=40, blank=True)

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("bulk", "user"), name="bulk_person_once"),)
        indexes = (models.Index(fields=("bulk", "outcome"), name="bulk_people_by_outcome"),)

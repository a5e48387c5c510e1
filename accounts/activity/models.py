"""The rows of what happened. They are written once; only ``prune`` deletes them."""

from typing import Any

from django.conf import settings
from django.db import models

from accounts.activity.events import EVENTS, Event
from accounts.common import clock, proofs
from accounts.common.client_info import LONGEST_NAME, Device

LONGEST_DETAIL = 100


class WrittenOnce(Exception):
    """Somebody tried to change what has happened. A fault of ours, never a person's."""


class ActivityQuerySet(models.QuerySet["Activity"]):
    """Rows that can be read, added, and deleted when they are old."""

    def update(self, **_values: Any) -> int:
        """Never (ASVS 16.4.2)."""
        raise WrittenOnce

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Insert, and never over what is there."""
        if kwargs.get("update_conflicts"):
            raise WrittenOnce
        return super().bulk_create(*args, **kwargs)


class Activity(models.Model):
    """One thing that happened: to whom, what, when, from where, by which proof.

    ``user`` is empty for a failed sign-in at an account that doesn't exist: it costs the same row.
    ``actor`` is whoever did it if that wasn't the person: staff by name, or ``operator``.
    ``key`` names the API key by which a program did it.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="activity"
    )
    kind = models.CharField(max_length=32)
    at = models.DateTimeField(default=clock.now, db_index=True)
    ip = models.CharField(max_length=45, blank=True, db_column="address")
    browser = models.CharField(max_length=LONGEST_NAME, blank=True)
    system = models.CharField(max_length=LONGEST_NAME, blank=True)
    proof = models.CharField(max_length=64, blank=True)
    session = models.UUIDField(null=True)
    actor = models.CharField(max_length=30, blank=True)
    detail = models.CharField(max_length=LONGEST_DETAIL, blank=True)
    key = models.CharField(max_length=100, blank=True, default="", db_default="")

    objects = ActivityQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("user", "-id"), name="activity_of_a_person"),)

    def __str__(self) -> str:
        return self.kind

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert, and never change: a row has no id before."""
        if self.pk is not None:
            raise WrittenOnce
        super().save(*args, **kwargs)

    @property
    def event(self) -> Event:
        """What happened, in words."""
        return EVENTS[self.kind]

    @property
    def device(self) -> Device | None:
        """The owner's device, if it was on one. Where staff were isn't told to whom they act on."""
        return Device(self.browser, self.system) if self.ip and not self.actor else None

    @property
    def is_by_itself(self) -> bool:
        """Whether nobody did it: a time has come."""
        return not (self.ip or self.actor)

    @property
    def proof_words(self) -> str:
        """By which proof; by which API key."""
        return f"{proofs.in_words(self.proof.split())} {self.key}".strip()

"""The security history. Stored events are never changed."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.activity.events import SIGN_INS, Event, find
from accounts.common import clock, proofs
from accounts.common.client_info import LONGEST_NAME, Device

LONGEST_DETAIL = 100
LONGEST_REASON = 500
# This cannot be a username, because usernames contain no ``@``: see ``accounts.users.usernames``.
OPERATOR = "@operator"
# Stands for any member of staff, because users do not learn which one it was.
STAFF = "@staff"
# The prefix of the name of the directory that caused an event by SCIM.
SCIM = "@scim "
# Separates the former and the new username in the detail of a rename.
RENAMED_TO = " → "
# The events in the histories of staff whose detail is, or begins with, the name or email address of
# another person.
ABOUT_OTHERS = (
    "details_seen",
    "invitation_accepted",
    "invitation_revoked",
    "invited",
    "staff_acted",
    "staff_changed",
)


class WrittenOnce(Exception):
    """Raised if code tries to change a stored event, which is always a bug of this site."""


class ActivityQuerySet(models.QuerySet["Activity"]):
    """A query set that cannot update events."""

    def update(self, **_values: Any) -> int:
        """Raise ``WrittenOnce``, because stored events never change (ASVS 16.4.2)."""
        raise WrittenOnce

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        # An insert must not overwrite existing events.
        if kwargs.get("update_conflicts"):
            raise WrittenOnce
        return super().bulk_create(*args, **kwargs)


class Activity(models.Model):
    """An event that happened to an account.

    ``user`` is null for a failed sign-in to an unknown account: such a failure is recorded too, so
    that it takes as long as a failed sign-in to a known account. ``proof`` lists the ``amr`` values
    that were shown, separated by spaces. ``actor`` is the username of the member of staff who
    caused the event, ``@operator`` for the command line, or :data:`SCIM` and the name of a
    directory; otherwise it is empty. ``actor_id`` is the id of the member of staff, because another
    person may get the username; null in events of version 1.0. When an account is deleted, ``@``
    and its id replace its name in the ``actor`` and ``detail`` of other events. ``key`` is the
    label of the API key that was used, if any. ``reason`` is why a member of staff caused the
    event.
    """

    # No index on ``user`` alone, because ``activity_of_a_person`` begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="activity",
        db_index=False,
    )
    kind = models.CharField(max_length=32)
    at = models.DateTimeField(default=clock.now, db_index=True)
    ip = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=LONGEST_NAME, blank=True)
    system = models.CharField(max_length=LONGEST_NAME, blank=True)
    proof = models.CharField(max_length=64, blank=True)
    session = models.UUIDField(null=True)
    actor = models.CharField(max_length=40, blank=True)
    actor_id = models.UUIDField(null=True)
    detail = models.CharField(max_length=LONGEST_DETAIL, blank=True)
    key = models.CharField(max_length=100, blank=True, default="")
    reason = models.CharField(max_length=LONGEST_REASON, blank=True, default="")

    objects = ActivityQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("user", "-id"), name="activity_of_a_person"),
            # Finds the few events that name another person.
            models.Index(
                fields=("actor",), name="activity_by_actor", condition=~models.Q(actor="")
            ),
            models.Index(
                fields=("detail",),
                name="activity_about_others",
                condition=models.Q(kind__in=ABOUT_OTHERS),
            ),
        )

    def __str__(self) -> str:
        return self.kind

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the event. Raise ``WrittenOnce`` if it is already stored."""
        if self.pk is not None:
            raise WrittenOnce
        super().save(*args, **kwargs)

    @property
    def proof_words(self) -> str:
        """The proofs that were shown, in words. A provider is named after a sign-in."""
        provider = self.detail if self.event in SIGN_INS else ""
        return proofs.in_words(self.proof.split(), provider)

    @property
    def event(self) -> Event:
        """The kind of the event."""
        return find(self.kind)

    @property
    def device(self) -> Device | None:
        """The device; None if it is unknown, or if a member of staff caused the event."""
        return Device(self.browser, self.system) if self.ip and not self.actor else None

    @property
    def directory(self) -> str:
        """The name of the directory that caused the event; empty if none did."""
        return self.actor.removeprefix(SCIM) if self.actor.startswith(SCIM) else ""

    @property
    def is_by_itself(self) -> bool:
        """Whether no person caused the event, as when an API key expires."""
        return not (self.ip or self.actor)


class DailyCount(models.Model):
    """How many events of one kind happened on one day (UTC). See ``accounts.activity.daily``."""

    day = models.DateField()
    event = models.CharField(max_length=32)
    method = models.CharField(max_length=64, blank=True)
    is_known = models.BooleanField()
    count = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ("view",)
        verbose_name = verbose_name_plural = _("overview")
        constraints = (
            models.UniqueConstraint(
                fields=("day", "event", "method", "is_known"), name="one_count_a_day"
            ),
        )

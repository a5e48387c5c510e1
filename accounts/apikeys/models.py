"""Personal API keys."""

from datetime import timedelta

from django.conf import settings
from django.db import models

from accounts.apikeys.text import ID_LENGTH, PREFIX
from accounts.common import clock

LONGEST_NAME = 60
STALE = timedelta(days=90)


class APIKey(models.Model):
    """One key: ``id`` is public, ``digest`` of the whole. Over when it's deleted or has expired."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    digest = models.CharField(max_length=64)
    name = models.CharField(max_length=LONGEST_NAME)
    scope = models.CharField(max_length=255)
    made_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True, db_index=True)
    # That it expires soon was told.
    told_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    ip = models.CharField(max_length=45, blank=True, db_column="address")
    # The login session in which it was made; no foreign key, since sessions are deleted before it.
    session = models.UUIDField(null=True)

    def __str__(self) -> str:
        return self.name

    @property
    def beginning(self) -> str:
        """What its text begins with: enough to tell it from others."""
        return f"{PREFIX}{self.pk[:4]}"

    @property
    def label(self) -> str:
        """Which key it is, in the history: names are chosen freely, and may be the same."""
        return f"{self.name}, {self.beginning}"

    @property
    def is_over(self) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    @property
    def is_stale(self) -> bool:
        """Whether it hasn't been used for so long that nobody may need it."""
        return (self.used_at or self.made_at) < clock.now() - STALE

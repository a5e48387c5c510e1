"""API keys of users, and the text of a key: ``authsite_`` and 55 more characters."""

from datetime import timedelta

from django.conf import settings
from django.db import models

from accounts.common import clock
from accounts.common.secrets import ID_LENGTH, KeyText
from accounts.tokens import scopes

PREFIX = "authsite_"
TEXT = KeyText(PREFIX)
LONGEST_NAME = 60
STALE = timedelta(days=90)


class APIKey(models.Model):
    """An API key. ``id`` is public; ``digest`` is the digest of the whole text of the key.

    The key is valid until it expires or its row is deleted.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    digest = models.CharField(max_length=64)
    name = models.CharField(max_length=LONGEST_NAME)
    scope = models.CharField(max_length=255)
    # The scopes of the staff API that a superuser has given to the key.
    staff_scope = models.CharField(max_length=64, blank=True, default="")
    made_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True, db_index=True)
    # When the owner was notified that the key will expire soon.
    told_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    ip = models.CharField(max_length=45, blank=True)
    # The session in which the key was created. This is no foreign key, because the key may outlive
    # the session.
    session = models.UUIDField(null=True)

    def __str__(self) -> str:
        return self.name

    @property
    def beginning(self) -> str:
        """The first characters of the key, by which users can tell their keys apart."""
        return f"{PREFIX}{self.pk[:4]}"

    @property
    def label(self) -> str:
        """The name and first characters of the key. Several keys may have the same name."""
        return f"{self.name}, {self.beginning}"

    @property
    def scope_in_words(self) -> str:
        """What the key may do, in the language of the reader."""
        return scopes.in_words(self.scopes)

    @property
    def staff_access(self) -> frozenset[str]:
        """The scopes of the staff API that a superuser has given to the key."""
        return frozenset(self.staff_scope.split())

    @property
    def scopes(self) -> frozenset[str]:
        """All scopes of the key, including those of the staff API."""
        return frozenset(self.scope.split()) - scopes.ADMIN | self.staff_access

    @property
    def is_over(self) -> bool:
        """Whether the key has expired."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    @property
    def is_stale(self) -> bool:
        """Whether the key has not been used for 90 days."""
        return (self.used_at or self.made_at) < clock.now() - STALE

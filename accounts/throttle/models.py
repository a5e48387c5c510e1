"""Where budgets live when no Redis is shared."""

from django.db import models


class Budget(models.Model):
    """One subject's budget: the moment, in milliseconds, at which it would be whole again.

    ``key`` is a digest: people type passwords into the username field, and a dump shouldn't show
    who was guessed at.
    """

    key = models.CharField(primary_key=True, max_length=64)
    whole_at = models.BigIntegerField(db_index=True)

    def __str__(self) -> str:
        return self.key


class FamiliarPlace(models.Model):
    """A digest of an account and of a network or client from which it was signed in to."""

    key = models.CharField(primary_key=True, max_length=64)
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key

"""Models of rate limits: budgets, and the networks that are known for an account."""

from django.db import models


class StoredBudget(models.Model):
    """The stored budget of a rate limit, for example for one network, account or mailbox.

    ``whole_at``: the time in milliseconds at which the budget is full again. It has no index,
        because PostgreSQL changes a row in place only if no index contains the changed column. A
        sign-in changes up to nine of these rows twice.
    ``key``: a digest, because people type passwords into the username field, and because a stolen
        database must not show which accounts were attacked.
    """

    key = models.CharField(primary_key=True, max_length=64)
    whole_at = models.BigIntegerField()


class FamiliarPlace(models.Model):
    """A record that a user has signed in from a network or client.

    ``key``: a digest of the user together with the network or client.
    ``until``: the time at which the record expires.
    ``owner``: the id of the user; null in rows of version 1.0.
    """

    key = models.CharField(primary_key=True, max_length=64)
    until = models.DateTimeField(db_index=True)
    owner = models.UUIDField(null=True, db_index=True)


class Refusals(models.Model):
    """The number of actions that one limit refused on one day (UTC)."""

    day = models.DateField()
    limit = models.CharField(max_length=32)
    count = models.PositiveBigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("day", "limit"), name="one_row_a_day_and_limit"),
        )

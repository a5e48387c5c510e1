"""Recovery requests, each of which can be used after a waiting period."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.dateparse import parse_datetime

from accounts.common import clock
from accounts.users.disputes import Evidence, OwnershipEvidence, Shown
from accounts.users.models import User

# How long a request can be used after its waiting period.
OPEN = timedelta(days=7)


class Recovery(models.Model):
    """A request to recover an account after a waiting period.

    ``due_at``: the time at which the waiting period ends.
    ``disputed_at``: the time of the disputed change.
    ``evidence``: the proofs that were shown and that count, each as ``[kind, key, since]``.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="recovery",
    )
    due_at = models.DateTimeField()
    disputed_at = models.DateTimeField()
    evidence = models.JSONField()

    def __str__(self) -> str:
        return f"due at {self.due_at}"

    @classmethod
    def current(cls) -> models.QuerySet[Self]:
        """Return the recovery requests that wait or could be used for the last seven days."""
        return cls.objects.filter(due_at__gt=clock.now() - OPEN)

    @classmethod
    def current_of(cls, user: User) -> models.QuerySet[Self]:
        """Return the current request of ``user``, if there is one."""
        return cls.current().filter(user=user)

    @property
    def shown(self) -> Shown:
        """The proofs that were shown with the request and that count in the dispute."""
        return frozenset(
            OwnershipEvidence(Evidence(kind), key, parse_datetime(since) if since else None)
            for kind, key, since in self.evidence
        )

    @shown.setter
    def shown(self, proofs: Shown) -> None:
        self.evidence = [
            (proof.kind, proof.key, proof.since and proof.since.isoformat()) for proof in proofs
        ]

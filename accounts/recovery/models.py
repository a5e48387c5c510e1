"""Requests for recovery that are in their waiting period."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.dateparse import parse_datetime

from accounts.users.disputes import Evidence, OlderProof, Shown


class Recovery(models.Model):
    """A request to recover an account after a waiting period, which ends at ``due_at``.

    ``disputed_at`` is the moment of the disputed change. ``evidence`` stores the older proofs of
    :attr:`shown`, each as ``[kind, key, since]``. Both are null in rows that the previous version
    of the site wrote. Only that version reads ``version``.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="recovery",
    )
    version = models.PositiveIntegerField()
    due_at = models.DateTimeField()
    disputed_at = models.DateTimeField(null=True)
    evidence = models.JSONField(null=True)

    class Meta:
        db_table = "accounts_factorrecovery"

    def __str__(self) -> str:
        return f"due at {self.due_at}"

    @property
    def shown(self) -> Shown:
        """The older proofs that were shown with the request."""
        if self.evidence is None:
            # The previous version stored no proofs. Its requests required one.
            return frozenset({OlderProof(Evidence.PASSWORD)})
        # An item without key and date, from before these were stored, is only the kind.
        rows: list[Any] = [
            [row, "", None] if isinstance(row, str) else row for row in self.evidence
        ]
        return frozenset(
            OlderProof(Evidence(kind), key, parse_datetime(since) if since else None)
            for kind, key, since in rows
        )

    @shown.setter
    def shown(self, proofs: Shown) -> None:
        self.evidence = [
            (proof.kind, proof.key, proof.since and proof.since.isoformat()) for proof in proofs
        ]

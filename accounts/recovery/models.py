"""Requests for recovery that wait."""

from django.conf import settings
from django.db import models

from accounts.users.disputes import Evidence


class Recovery(models.Model):
    """A request to recover an account after a waiting period, which ends at ``due_at``.

    ``disputed_at`` is the moment of the disputed change, ``evidence`` what the request showed. Both
    are null in rows that the previous version of the site wrote; only that version reads
    ``version``.
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
    def shown(self) -> frozenset[Evidence]:
        """Return what the request showed."""
        # The previous version stored nothing: its requests were made with one proof.
        kinds = [Evidence.PASSWORD] if self.evidence is None else self.evidence
        return frozenset(Evidence(kind) for kind in kinds)

"""Requests that wait."""

from django.conf import settings
from django.db import models

from accounts.users.disputes import Evidence


class Recovery(models.Model):
    """A request to get back into an account with less than opens it at once; good from ``due_at``.

    ``disputed_at`` is the moment before which a proof must have been held, ``evidence`` what was
    shown; both are empty for a request of a former version. ``version`` is for that version only.
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
        """Return what the request showed; a former version noted nothing, so one proof."""
        kinds = [Evidence.PASSWORD] if self.evidence is None else self.evidence
        return frozenset(Evidence(kind) for kind in kinds)

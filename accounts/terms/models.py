"""The model of accepted terms."""

from django.db import models

from accounts.common import clock
from accounts.common.config import LONGEST_TERMS_VERSION
from accounts.users.models import User


class TermsAcceptance(models.Model):
    """A version of the terms that a user has accepted, kept as evidence while the account exists.

    ``version``: the value of ``TERMS_VERSION`` at that time.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    version = models.CharField(max_length=LONGEST_TERMS_VERSION)
    accepted_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "version"), name="terms_accepted_once"),
        )

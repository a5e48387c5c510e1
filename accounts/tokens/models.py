"""The keys that access tokens are signed with, and what waits for its second step."""

from django.conf import settings
from django.db import models

from accounts.common import clock


class SigningKey(models.Model):
    """One key of the ring: see ``accounts.tokens.keyring`` for what it does when.

    ``number`` decides between two processes that make the next key at once: only one can have it.
    ``kid`` is the thumbprint of ``public``, which is the JWK as it is published. ``private`` is
    sealed, and empty once the key is withdrawn: it must never sign again.
    """

    number = models.PositiveIntegerField(primary_key=True)
    kid = models.CharField(max_length=43, unique=True)
    algorithm = models.CharField(max_length=8)
    public = models.JSONField()
    private = models.TextField()
    made_at = models.DateTimeField(default=clock.now)
    signs_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.kid


class TokenChallenge(models.Model):
    """A sign-in over the API that waits for its second step; ``digest`` is of its secret.

    ``proofs`` and ``version`` are what was shown, and of which state of the account; ``audience``,
    ``scope`` and ``kind`` what was asked for; ``nonce`` names the code that was mailed, if one was.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_challenges"
    )
    version = models.PositiveIntegerField()
    proofs = models.JSONField()
    audience = models.CharField(max_length=255)
    scope = models.CharField(max_length=255)
    kind = models.CharField(max_length=16, default="api", db_default="api")
    nonce = models.CharField(max_length=32, blank=True)
    tries_left = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.user_id} until {self.expires_at}"

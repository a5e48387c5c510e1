"""Signing keys, and challenges for the second step of a sign-in to the API."""

from django.conf import settings
from django.db import models

from accounts.common import clock


class SigningKey(models.Model):
    """A key pair that signs access tokens; ``signing_keys`` describes when.

    ``number`` orders the keys. It is unique, so if several processes create the next key
    simultaneously, only one succeeds. ``public`` is the published JWK, and ``kid`` its thumbprint.
    ``private`` is encrypted, and empty once the key is withdrawn, so that the key cannot sign
    again.
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
    """A sign-in to the API that waits for its second step.

    ``digest`` is the digest of the challenge's secret. ``proofs`` were shown in the first step, and
    ``version`` is the user's ``credential_version`` at that time. ``audience``, ``scope`` and
    ``kind`` describe the tokens to issue. ``nonce`` identifies the emailed code, if there is one.
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

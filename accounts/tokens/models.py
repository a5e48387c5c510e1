"""Signing keys, and challenges for the second step of a sign-in to the API."""

from django.conf import settings
from django.db import models

from accounts.common import clock


class SigningKey(models.Model):
    """A key pair that signs access tokens; ``tokens.keyring`` explains when a key signs.

    ``number``: the order of the keys. It is unique, so that only one of several processes can
        create the next key.
    ``public``: the published JWK.
    ``kid``: the thumbprint of ``public``.
    ``private``: the encrypted private key. It is emptied when the key is withdrawn or retired, so
        that the key cannot sign again.
    ``unused_at``: when ``keyring.prune`` found that its algorithm is no longer in use.
    ``retired_at``: when ``keyring.prune`` found that every token that it signed has expired.
    """

    number = models.PositiveIntegerField(primary_key=True)
    kid = models.CharField(max_length=43, unique=True)
    algorithm = models.CharField(max_length=8)
    public = models.JSONField()
    private = models.TextField()
    made_at = models.DateTimeField(default=clock.now)
    signs_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    unused_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.kid


class TokenChallenge(models.Model):
    """A sign-in to the API whose second step is not done yet.

    ``digest``: the digest of the challenge's secret.
    ``proofs``: the proofs that the user has shown in the first step, as JSON.
    ``version``: the user's ``credential_version`` at the time of the first step.
    ``audience``, ``scope``, ``kind``: the requested tokens.
    ``nonce``: identifies the emailed code; empty if no code was emailed.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_challenges"
    )
    version = models.PositiveIntegerField()
    proofs = models.JSONField()
    audience = models.CharField(max_length=255)
    scope = models.CharField(max_length=255)
    kind = models.CharField(max_length=16, default="api")
    nonce = models.CharField(max_length=32, blank=True)
    tries_left = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField(db_index=True)

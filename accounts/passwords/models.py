"""The model of the kinds of password hashes that accounts of this site have."""

from django.db import models

from accounts.users.models import LONGEST_HASH


class HashKind(models.Model):
    """How many accounts have a password hash of one algorithm and cost: see ``mix``.

    ``blank``: a hash of this cost without salt, secrets and digest, or "" for new hashes.
    ``form``: the algorithm that reads such hashes, such as ``foreign`` or ``sealed``.
    ``left``: how many accounts have such a hash now.
    ``most``: the highest number that was ever counted.
    """

    blank = models.CharField(max_length=LONGEST_HASH, unique=True)
    form = models.CharField(max_length=16)
    left = models.PositiveIntegerField()
    most = models.PositiveIntegerField()

"""The model of profile pictures."""

from django.db import models

from accounts.common import secrets
from accounts.users.models import User


class Picture(models.Model):
    """The profile picture of a user, a WebP file.

    It has its own table, because almost every request reads the row of the user.

    ``name``: the last part of its URL, which nobody can guess. Each upload gets a new one.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="+")
    name = models.CharField(max_length=43, unique=True, default=secrets.token)
    content = models.BinaryField()

    class Meta:
        default_permissions = ()

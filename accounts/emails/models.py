"""Email addresses that users have added but not confirmed yet."""

from django.conf import settings
from django.db import models

from accounts.common import secrets
from accounts.users import emails


class PendingEmail(models.Model):
    """An email address that a user has added but not confirmed.

    Until it is confirmed, other users can add and confirm the same email address.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pending_emails"
    )
    email = models.EmailField(max_length=emails.MAX_LENGTH)
    key = models.CharField(max_length=3 * emails.MAX_LENGTH)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "key"), name="one_pending_address_each"),
        )

    def __str__(self) -> str:
        return self.email

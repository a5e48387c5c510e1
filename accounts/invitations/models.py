"""The model of invitations."""

from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.activity.models import LONGEST_REASON
from accounts.common import clock, secrets
from accounts.users import emails
from accounts.users.models import User


class Invitation(models.Model):
    """An invitation that was neither accepted nor revoked. Its link is a ``Code``.

    ``is_staff``: whether the person also becomes a member of staff.
    ``reason``: why the person gets rights; empty if the invitation gives none.
    """

    id = models.UUIDField(primary_key=True, default=secrets.public_id, editable=False)
    email = models.EmailField(_("email address"), max_length=emails.MAX_LENGTH)
    email_key = models.CharField(max_length=3 * emails.MAX_LENGTH, db_index=True)
    groups = models.ManyToManyField(Group, related_name="+")
    is_staff = models.BooleanField(default=False)
    reason = models.CharField(max_length=LONGEST_REASON, blank=True, default="", db_default="")
    invited_by = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="+", verbose_name=_("invited by")
    )
    created_at = models.DateTimeField(_("sent"), default=clock.now)
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    class Meta:
        # This permission also allows to see and to revoke invitations.
        default_permissions = ("add",)
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.email

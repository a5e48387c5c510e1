"""A change of credentials makes worthless what was proved before it."""

from typing import Any

from django.db.models import F

from accounts.users.models import User


def count(sender: Any, user: User, **_more: Any) -> None:
    """Let sign-ins that are under way fail: see ``accounts.signin.admission``."""
    User.objects.filter(pk=user.pk).update(credential_version=F("credential_version") + 1)

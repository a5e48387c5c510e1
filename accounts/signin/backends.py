"""The authentication backend. It loads users and permissions, but checks no credentials.

``django.contrib.auth.authenticate`` therefore always fails. Otherwise code that calls it, such as
the login form of Django's admin, would sign users in with a password alone.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet

from accounts.users.models import User
from accounts.users.rights import groups_of


class LoadOnlyBackend(ModelBackend):
    """Loads users by id for sessions, and their permissions for the admin."""

    def authenticate(self, request: Any, **_credentials: Any) -> None:  # type: ignore[override]  # never a user
        """Return None, because :mod:`accounts.signin.services` checks credentials."""
        return

    def _get_user_permissions(self, user_obj: User) -> QuerySet[Permission]:
        held = user_obj.user_permissions.all()
        return held.none() if user_obj.is_reduced else held

    def _get_group_permissions(self, user_obj: User) -> QuerySet[Permission]:
        return Permission.objects.filter(group__in=groups_of(user_obj))

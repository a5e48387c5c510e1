"""The authentication backend. It loads users and permissions, but checks no credentials.

``django.contrib.auth.authenticate`` therefore always fails. Otherwise code that calls it, such as
the login form of Django's admin, would sign users in with a password alone.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend


class LoadOnlyBackend(ModelBackend):
    """Loads users by id for sessions, and their permissions for the admin."""

    def authenticate(self, request: Any, **_credentials: Any) -> None:  # type: ignore[override]  # never a user
        """Return None, because :mod:`accounts.signin.services` checks credentials."""
        return

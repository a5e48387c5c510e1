"""The authentication backend: it loads users and their permissions, but authenticates nobody.

``django.contrib.auth.authenticate`` therefore always fails. Otherwise code that calls it, such as
the stock admin's login form, would sign people in with a password alone.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend


class LoadOnlyBackend(ModelBackend):
    """Loads users by id for sessions, and their permissions for the admin."""

    def authenticate(self, request: Any, **_credentials: Any) -> None:  # type: ignore[override]
        """Return None: credentials are checked in :mod:`accounts.signin.services`."""
        return

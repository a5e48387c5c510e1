"""The authentication backend: it loads users and knows their permissions, and proves nobody.

``django.contrib.auth.authenticate`` therefore admits no one. Whatever code calls it (the stock
admin form, Basic authentication of a framework) would be a second door that asks a password only.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend


class LoadOnlyBackend(ModelBackend):
    """Users by id for sessions, permissions for the admin; no credentials."""

    def authenticate(self, request: Any, **_credentials: Any) -> None:  # type: ignore[override]
        """Nobody. See :mod:`accounts.signin.services`."""
        return

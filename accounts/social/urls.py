"""URLs of sign-in with providers.

The URL of a provider that has no credentials in the settings returns 404.
"""

from typing import TYPE_CHECKING

from django.urls import path, register_converter

from accounts.social import configured, views

if TYPE_CHECKING:
    from accounts.social.providers import Provider


class ProviderConverter:
    """Converts the key of a configured provider, such as ``google`` or ``oidc/acme``."""

    regex = "[a-z0-9_]+|oidc/[a-z0-9-]+"

    def to_python(self, value: str) -> "Provider":
        """Return the configured provider with the key ``value``.

        Raises:
            ValueError: no such provider is configured, so the URL does not match.
        """
        if (provider := configured.find(value)) is None:
            raise ValueError
        return provider

    def to_url(self, value: str) -> str:
        return value


register_converter(ProviderConverter, "provider")

urlpatterns = [
    path("accounts/3rdparty/", views.connections, name="connections"),
    path("accounts/3rdparty/confirm/", views.confirm, name="provider_confirm"),
    path("accounts/<provider:provider>/login/", views.login, name="provider_login"),
    path("accounts/<provider:provider>/login/callback/", views.callback, name="provider_callback"),
]

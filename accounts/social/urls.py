"""The pages of signing in with others. What isn't configured isn't there: 404."""

from django.urls import path, register_converter

from accounts.social import configured, views
from accounts.social.providers import Provider


class ProviderConverter:
    """``google``, ``oidc/acme``: the key of a provider that has credentials."""

    regex = "[a-z0-9_]+|oidc/[a-z0-9-]+"

    def to_python(self, value: str) -> Provider:
        """The provider; ``ValueError``, which is no match, if there is none."""
        if (provider := configured.find(value)) is None:
            raise ValueError
        return provider

    def to_url(self, value: str) -> str:
        """Its key."""
        return value


register_converter(ProviderConverter, "provider")

urlpatterns = [
    path("accounts/3rdparty/", views.connections, name="connections"),
    path("accounts/3rdparty/confirm/", views.confirm, name="provider_confirm"),
    path("accounts/<provider:provider>/login/", views.login, name="provider_login"),
    path("accounts/<provider:provider>/login/callback/", views.callback, name="provider_callback"),
]

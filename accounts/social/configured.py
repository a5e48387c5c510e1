"""The providers that have credentials in the settings."""

from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from accounts.social.providers import Provider


def find_provider(key: str) -> "Provider | None":
    """Return the provider with this key, or None if the settings have no credentials for it."""
    issuer = next((issuer for issuer in settings.AUTHSITE.issuers if issuer.key == key), None)
    if issuer is None:
        return None
    from accounts.social.providers import CLASSES, OpenID  # noqa: PLC0415 the HTTP client takes 5 MB

    return CLASSES.get(key, OpenID)(issuer)


def name_of(issuer: str) -> str | None:
    """Return the name of the configured provider with the issuer identifier ``issuer``."""
    return {known.issuer: known.name for known in settings.AUTHSITE.issuers}.get(issuer)


class ProviderConverter:
    """Converts the key of a configured provider, such as ``google`` or ``oidc/acme``."""

    regex = "[a-z0-9_]+|oidc/[a-z0-9-]+"

    def to_python(self, value: str) -> "Provider":
        """Return the configured provider with the key ``value``.

        Raises:
            ValueError: no such provider is configured, so the URL does not match.
        """
        if (provider := find_provider(value)) is None:
            raise ValueError
        return provider

    def to_url(self, value: str) -> str:
        return value

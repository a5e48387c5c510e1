"""The settings of the identity providers with which people can sign in."""

from dataclasses import dataclass

from accounts.common import issuers
from accounts.common.issuers import Issuer
from accounts.common.setting_parsers import setting


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """The part of the settings that enables providers."""

    google_client_id: str = setting(
        "Sign in with Google. A provider is enabled by its ID and secret; its redirect URI is "
        "`ORIGIN/accounts/google/login/callback/`, and likewise `github`, `facebook`, "
        "`twitter_oauth2`."
    )
    google_client_secret: str = setting("The secret of GOOGLE_CLIENT_ID.", secret=True)
    github_client_id: str = setting("Sign in with GitHub.")
    github_client_secret: str = setting("The secret of GITHUB_CLIENT_ID.", secret=True)
    facebook_client_id: str = setting("Sign in with Facebook.")
    facebook_client_secret: str = setting("The secret of FACEBOOK_CLIENT_ID.", secret=True)
    twitter_client_id: str = setting("Sign in with X.")
    twitter_client_secret: str = setting("The secret of TWITTER_CLIENT_ID.", secret=True)
    oidc_providers: tuple[Issuer, ...] = setting(
        "OpenID Providers: a JSON list of `{id, name, issuer, client_id, client_secret}`. Each can "
        "have `origins` too, a list of further origins that its sign-in redirects to. The redirect "
        "URI is `ORIGIN/accounts/oidc/ID/login/callback/`.",
        issuers.openid_providers,
        default=(),
        secret=True,
    )

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The configured identity providers, in the order of their sign-in buttons."""
        return (*self.oidc_providers, *issuers.configured_issuers(self))

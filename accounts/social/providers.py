"""The OAuth client for each provider.

allauth supplies the endpoints and parses the responses. A subclass of :class:`Provider` contains
only what allauth lacks, or what this site does differently.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus

import requests
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.facebook.provider import FacebookProvider
from allauth.socialaccount.providers.facebook.views import FacebookOAuth2Adapter
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from allauth.socialaccount.providers.twitter_oauth2.provider import TwitterOAuth2Provider
from allauth.socialaccount.providers.twitter_oauth2.views import TwitterOAuth2Adapter
from django.core.exceptions import ImproperlyConfigured

from accounts.common import base64url, http_client
from accounts.common.issuers import Issuer
from accounts.common.links import absolute
from accounts.social.adapter import app_of
from accounts.social.attempts import Act, Attempt
from accounts.social.errors import Failed, Refused
from accounts.social.provider_profile import ProviderProfile, email_of, text_of

CANCELLED = "access_denied"
# Only these error codes are logged (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
ERRORS = {
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_request",
    "invalid_scope",
    "login_required",
    "registration_not_supported",
    "request_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
}
# A provider's answer may contain anything. Every exception that such an answer causes in allauth's
# code counts as a failure of the provider, not of this site.
GARBAGE = (
    OAuth2Error,
    requests.RequestException,
    http_client.Unreachable,
    # Raised for a subject that is longer than allauth's column.
    ImproperlyConfigured,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OSError,
    OverflowError,
    # Raised for JSON that is nested too deeply, and for features that a library lacks.
    RuntimeError,
)


class Client(OAuth2Client):
    """allauth's OAuth client with corrections and a check of the token endpoint's response."""

    consumer_key: str
    consumer_secret: str

    def get_redirect_url(self, authorization_url: str, scope: Any, extra_params: Any) -> str:
        """Return the URL to redirect the browser to.

        If ``authorization_url`` has a query, the query is kept (RFC 6749 section 3.1).
        """
        query: str = super().get_redirect_url("", scope, extra_params)
        if "?" in authorization_url:
            query = query.replace("?", "&", 1)
        return authorization_url + query

    def get_access_token(self, code: str, *args: Any, **options: Any) -> dict[str, Any]:
        """Exchange ``code`` for an access token, and return the response of the token endpoint.

        If HTTP Basic is used, the client credentials are form-encoded first (RFC 6749 section
        2.3.1).
        """
        if self.basic_auth:
            key, secret = self.consumer_key, self.consumer_secret
            self.consumer_key, self.consumer_secret = quote_plus(key), quote_plus(secret)
        answer = super().get_access_token(code, *args, **options)
        if not isinstance(answer, dict) or not isinstance(answer["access_token"], str):
            raise OAuth2Error
        return answer


class Provider:
    """A configured provider. All requests to it run in :func:`http_client.talk`."""

    # The classes that allauth has for this provider.
    classes: tuple[type[OAuth2Provider], type[OAuth2Adapter]]
    # The value of the ``iss`` parameter in its answers (RFC 9207); if empty, ``iss`` is ignored.
    answers_as = ""

    def __init__(self, configured: Issuer) -> None:
        self.key, self.name, self.logo = configured.key, configured.name, configured.logo
        self.issuer, self.origins = configured.issuer, configured.origins
        self.tells_when = configured.tells_when
        self.app = app_of(configured)
        provider_class, adapter_class = self.classes
        self.reader, self.adapter = provider_class(None, app=self.app), adapter_class(None)
        self.adapter.get_provider = lambda: self.reader

    def authorize_url(self, attempt: Attempt, state: str) -> str:
        """Return the URL at the provider to which the browser is redirected.

        Raises:
            Failed: the provider's metadata cannot be used.
            Busy: too many requests to providers are running.
        """
        client = self.client()
        client.state = state
        parameters = {
            "code_challenge": base64url.encode(sha256(attempt.verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **self.parameters(attempt),
        }
        scopes = sorted(self.reader.get_default_scope())
        return client.get_redirect_url(self.adapter.authorize_url, scopes, parameters)

    def profile(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
        """Return the profile of the person.

        ``answer``: the query parameters of the callback.

        Raises:
            Refused: the person cancelled at the provider.
            Failed: the response is an error, or cannot be verified.
            Busy: too many requests to providers are running.
        """
        if answer.get("error") == CANCELLED:
            raise Refused
        if "error" in answer or not answer.get("code"):
            raise Failed(answer["error"] if answer.get("error") in ERRORS else "no code")
        if self.answers_as and answer.get("iss", self.answers_as) != self.answers_as:
            raise Failed("iss of the answer")
        try:
            return http_client.talk(self.key, lambda: self.find_out(attempt, answer))
        except GARBAGE as error:
            raise Failed from error

    def parameters(self, attempt: Attempt) -> dict[str, str]:
        """Return additional parameters of the authorization request."""
        return {}

    def find_out(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
        """Exchange the authorization code for tokens, and return the profile of the person.

        Call this within :func:`http_client.talk`.
        """
        response = self.exchange(answer["code"], attempt.verifier)
        token = SocialToken(token=response["access_token"])
        login = self.adapter.complete_login(None, self.app, token, response=response)
        return self.read(login)

    def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        """Exchange the authorization code, and return the response of the token endpoint."""
        return self.client().get_access_token(code, pkce_code_verifier=verifier)

    def read(self, login: SocialLogin) -> ProviderProfile:
        """Return the profile in ``login``, the provider's responses as allauth has parsed them."""
        fields = self.reader.extract_common_fields(login.account.extra_data)
        # Only the primary email address: people may not know which others the provider lists.
        primary = [a for a in login.email_addresses if a.primary]
        verified = next((a for a in primary if a.verified is True), None)
        found = verified or next(iter(primary), None)
        return ProviderProfile(
            self.issuer,
            subject_of(login.account.uid),
            email=email_of(found.email) if found else "",
            is_verified=verified is not None,
            username=text_of(fields.get("username")),
            name=text_of(fields.get("name")),
        )

    def client(self) -> Client:
        """Return an OAuth client for requests to the provider.

        The callback URL is built from ``ORIGIN``, because a client can forge the host of a request.
        """
        self.adapter.client_class = Client
        self.adapter.get_callback_url = lambda *_: absolute("provider_callback", self.key)
        client: Client = self.adapter.get_client(None, self.app)
        return client


def subject_of(value: object) -> str:
    """Return ``value`` if it is a valid subject (OpenID Connect Core section 2).

    Raises:
        Failed: ``value`` is not a string of 1 to 255 printable ASCII characters.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[ -~]{1,255}", value):
        raise Failed("subject")
    return value


class GitHub(Provider):
    """Sign-in with GitHub.

    See https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
    """

    classes = GitHubProvider, GitHubOAuth2Adapter
    answers_as = "https://github.com/login/oauth"

    def parameters(self, attempt: Attempt) -> dict[str, str]:
        return {} if attempt.act is Act.SIGN_IN else {"prompt": "select_account"}

    def read(self, login: SocialLogin) -> ProviderProfile:
        # Checked here, because allauth turns any value into a string.
        if not re.fullmatch(r"[0-9]+", login.account.uid):
            raise Failed("subject")
        return super().read(login)


class Facebook(Provider):
    """Sign-in with Facebook.

    Email addresses never count as verified, because Facebook does not say whether they are. See
    https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow
    """

    classes = FacebookProvider, FacebookOAuth2Adapter

    def parameters(self, attempt: Attempt) -> dict[str, str]:
        return {"auth_type": "reauthenticate"} if attempt.act is Act.PROVE else {}

    def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        # The exchange with Facebook is a GET request, to which allauth does not add the verifier.
        return self.client().get_access_token(code, extra_data={"code_verifier": verifier})


class X(Provider):
    """Sign-in with X.

    See https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token
    """

    classes = TwitterOAuth2Provider, TwitterOAuth2Adapter

"""The OAuth clients for the providers.

allauth supplies the endpoints and parses the responses. Each subclass of :class:`Provider` contains
only what allauth lacks, or what this site does differently.

ID tokens are checked as OpenID Connect Core 1.0 section 3.1.3.7 requires. This module checks the
nonce and the signature itself, because allauth checks neither if it fetches the ID token from the
provider.
"""

import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus

import jwt
import requests
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.facebook.provider import FacebookProvider
from allauth.socialaccount.providers.facebook.views import FacebookOAuth2Adapter
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.twitter_oauth2.provider import TwitterOAuth2Provider
from allauth.socialaccount.providers.twitter_oauth2.views import TwitterOAuth2Adapter
from django.core.exceptions import ImproperlyConfigured

from accounts.common import clock, crypto, http_client
from accounts.common.issuers import GOOGLE, GUID, Issuer
from accounts.common.pages import absolute
from accounts.social import metadata
from accounts.social.adapter import app_of
from accounts.social.attempts import (
    Attempt,
    AttemptPurpose,
    Failed,
    ProviderProfile,
    Refused,
    email_of,
    text_of,
)
from accounts.social.metadata import Metadata

# The second code is specific to Apple.
CANCELLED = ("access_denied", "user_cancelled_authorize")
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
# A provider's response may contain anything. Every exception that it causes in allauth's code
# counts as a failure of the provider, not of this site.
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


# Lets the person choose an account, unless the purpose is a sign-in.
CHOOSE: Mapping[AttemptPurpose, Mapping[str, str]] = {
    AttemptPurpose.CONNECT: {"prompt": "select_account"},
    AttemptPurpose.REAUTHENTICATE: {"prompt": "select_account"},
}


class Client(OAuth2Client):
    """allauth's OAuth client with corrections and a check of the token endpoint's response."""

    consumer_key: str
    consumer_secret: str

    def get_redirect_url(self, authorization_url: str, scope: Any, extra_params: Any) -> str:
        """Return ``authorization_url`` with the parameters of the request added to its query.

        The parameters are ``scope``, ``extra_params``, and those that RFC 6749 section 4.1.1
        requires. A query that ``authorization_url`` already has is kept (section 3.1).
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
    """A configured provider. All requests to it must run in :func:`http_client.talk`."""

    # allauth's classes for this provider.
    classes: tuple[type[OAuth2Provider], type[OAuth2Adapter]]
    # The value of the ``iss`` parameter in its responses (RFC 9207); if empty, ``iss`` is ignored.
    response_issuer = ""
    # Parameters of the authorization request that depend on the purpose of the attempt.
    by_purpose: Mapping[AttemptPurpose, Mapping[str, str]] = {}
    # Whether the provider sends its responses by POST (OAuth 2.0 Form Post Response Mode).
    posts = False

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
        url, scopes = self.adapter.authorize_url, sorted(self.scopes)
        return client.get_redirect_url(url, scopes, self.parameters(attempt))

    @property
    def scopes(self) -> Collection[str]:
        """The requested scopes."""
        scopes: Collection[str] = self.reader.get_default_scope()
        return scopes

    def profile(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
        """Return the profile of the person.

        ``answer``: the query parameters of the callback.

        Raises:
            Refused: the person cancelled at the provider.
            Failed: the response is an error, or cannot be verified.
            Busy: too many requests to providers are running.
        """
        if answer.get("error") in CANCELLED:
            raise Refused
        if "error" in answer or not answer.get("code"):
            raise Failed(answer["error"] if answer.get("error") in ERRORS else "no code")
        if self.response_issuer and answer.get("iss", self.response_issuer) != self.response_issuer:
            raise Failed("iss of the answer")
        try:
            return http_client.talk(self.key, lambda: self.fetch_profile(attempt, answer))
        except GARBAGE as error:
            raise Failed from error

    def parameters(self, attempt: Attempt) -> Mapping[str, str]:
        """Return additional parameters of the authorization request."""
        return {
            "code_challenge": crypto.encode(sha256(attempt.verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **self.by_purpose.get(attempt.purpose, {}),
        }

    def fetch_profile(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
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
        """Return the profile in ``login``, the provider's responses as parsed by allauth."""
        fields = self.reader.extract_common_fields(login.account.extra_data)
        # Only the primary email address is read, because people may not know which other addresses
        # the provider lists.
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
    response_issuer = "https://github.com/login/oauth"
    by_purpose = CHOOSE

    def read(self, login: SocialLogin) -> ProviderProfile:
        # Checked here, because allauth turns any value into a string.
        if not re.fullmatch(r"[0-9]+", login.account.uid):
            raise Failed("subject")
        return super().read(login)


class Facebook(Provider):
    """Sign-in with Facebook.

    Email addresses never count as verified, because Facebook does not report whether they are. See
    https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow
    """

    classes = FacebookProvider, FacebookOAuth2Adapter
    by_purpose = {AttemptPurpose.REAUTHENTICATE: {"auth_type": "reauthenticate"}}

    def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        # The exchange with Facebook is a GET request, to which allauth does not add the verifier.
        return self.client().get_access_token(code, extra_data={"code_verifier": verifier})


class X(Provider):
    """Sign-in with X.

    See https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token
    """

    classes = TwitterOAuth2Provider, TwitterOAuth2Adapter


# Without symmetric algorithms, with which everyone who knows the client secret could sign ID tokens
# (RFC 8725 section 3.1).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
LEEWAY_SECONDS = 60
REQUIRED = ("iss", "sub", "aud", "exp", "iat")


class _Adapter(OAuth2Adapter):
    """allauth's OAuth adapter with the endpoints from the metadata of the provider."""

    found: Metadata

    @property
    def authorize_url(self) -> str:
        return str(self.found["authorization_endpoint"])

    @property
    def access_token_url(self) -> str:
        return str(self.found["token_endpoint"])

    @property
    def basic_auth(self) -> bool:
        """Whether to send the client credentials by HTTP Basic.

        HTTP Basic is the default (Discovery section 3). It is not used if the metadata of the
        provider lists ``client_secret_post`` but not ``client_secret_basic``.
        """
        offered = self.found.get("token_endpoint_auth_methods_supported") or []
        return "client_secret_basic" in offered or "client_secret_post" not in offered


class OpenID(Provider):
    """An OpenID Provider that is configured in ``OIDC_PROVIDERS``."""

    classes = OpenIDConnectProvider, _Adapter
    adapter: _Adapter
    by_purpose: Mapping[AttemptPurpose, Mapping[str, str]] = {
        AttemptPurpose.REAUTHENTICATE: {"prompt": "login", "max_age": "0"}
    }

    def __init__(self, configured: Issuer) -> None:
        super().__init__(configured)
        # The URL of the metadata begins with ``base``, and the metadata names the issuer ``named``.
        self.base = self.named = self.issuer

    def authorize_url(self, attempt: Attempt, state: str) -> str:
        try:
            known = metadata.cached(self.base)
            self.adapter.found = known or http_client.talk(self.key, self._metadata)
            return super().authorize_url(attempt, state)
        except GARBAGE as error:
            raise Failed from error

    def _metadata(self) -> Metadata:
        return metadata.of(self.base, self.named)

    def parameters(self, attempt: Attempt) -> Mapping[str, str]:
        return {"nonce": attempt.nonce, **super().parameters(attempt)}

    def fetch_profile(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
        self.adapter.found = found = self._metadata()
        # This comes before the code is sent, because another issuer may have issued the code (RFC
        # 9207 section 2.4).
        named = answer.get("iss")
        is_named = bool(found.get("authorization_response_iss_parameter_supported"))
        if (named is not None or is_named) and not self.is_named(named):
            raise Failed("iss of the answer")
        with metadata.reaching(found):
            response = self.exchange(answer["code"], attempt.verifier)
        token = self._verify(response["id_token"], attempt.nonce)
        return self._read(token, self._more(token, response["access_token"]))

    def _verify(self, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of the ID token ``token``.

        Raises:
            Failed: the token is malformed, wrongly signed or expired, was issued to another
                client, or does not contain ``nonce``.
        """
        found = self.adapter.found
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise Failed("alg")
            key = found.key(header.get("kid"), header["alg"])
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self.app.client_id,
                leeway=LEEWAY_SECONDS,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise Failed from error
        if not self.is_named(claims["iss"]):
            raise Failed("iss")
        if not self._is_for_us(claims):
            raise Failed("azp")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise Failed("nonce")
        return claims

    def _is_for_us(self, claims: dict[str, Any]) -> bool:
        """Return whether the ID token was issued to this client.

        If the token has several audiences, ``azp`` must name this client (section 3.1.3.7).
        """
        is_alone = claims["aud"] in (self.app.client_id, [self.app.client_id])
        party = claims.get("azp", self.app.client_id if is_alone else None)
        return bool(party == self.app.client_id)

    def is_named(self, issuer: object) -> bool:
        """Return whether ``issuer`` names this provider."""
        return issuer == self.issuer

    def _more(self, token: dict[str, Any], access_token: str) -> dict[str, Any]:
        """Return the claims from the userinfo endpoint; none if the provider has no such endpoint.

        ``token``: the claims of the ID token.

        Raises:
            Failed: the response and the ID token have different ``sub`` claims (section 5.3.2).
        """
        endpoint = self.adapter.found.get("userinfo_endpoint")
        if not endpoint:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        more = metadata.fetch(self.adapter.found, endpoint, headers=headers)
        if not isinstance(more, dict) or more.get("sub") != token["sub"]:
            raise Failed("sub of userinfo")
        return more

    def _read(self, token: dict[str, Any], more: dict[str, Any]) -> ProviderProfile:
        facts = {**more, **token}
        # ``email`` and ``email_verified`` must come from the same source.
        mail = token if "email" in token else more
        return ProviderProfile(
            self.issuer,
            subject_of(token["sub"]),
            email=email_of(mail.get("email")),
            is_verified=self.is_verified({"hd": token.get("hd"), **mail}),
            username=text_of(facts.get("preferred_username") or facts.get("nickname")),
            name=text_of(facts.get("name")),
            signed_in_at=_moment(token.get("auth_time")),
        )

    def is_verified(self, facts: dict[str, Any]) -> bool:
        """Return whether the provider has verified the email address in ``facts``.

        ``email_verified`` must be the boolean true, because the string ``"false"`` is truthy.
        """
        return facts.get("email_verified") is True


def _moment(at: object) -> datetime | None:
    """Return the NumericDate ``at`` (RFC 7519 section 2) as a datetime; None if malformed."""
    if isinstance(at, bool) or not isinstance(at, int | float):
        return None
    return datetime.fromtimestamp(at, UTC)


class Google(OpenID):
    """Sign-in with Google.

    Google does not reauthenticate a person on request. An email address counts as verified only if
    it is a Gmail address or belongs to a Google Workspace. See
    https://developers.google.com/identity/openid-connect/openid-connect
    """

    by_purpose = CHOOSE

    def is_named(self, issuer: object) -> bool:
        return issuer in {GOOGLE, GOOGLE.removeprefix("https://")}

    def is_verified(self, facts: dict[str, Any]) -> bool:
        is_googles = str(facts.get("email", "")).lower().endswith("@gmail.com")
        return super().is_verified(facts) and (is_googles or isinstance(facts.get("hd"), str))


# The tenant of all personal accounts, and the placeholder in the metadata for several tenants.
CONSUMERS, ANY_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad", "{tenantid}"
TENANTS = {"common": ANY_TENANT, "organizations": ANY_TENANT, "consumers": CONSUMERS}


class Microsoft(OpenID):
    """Sign-in with Microsoft, by accounts of one tenant or of several.

    Each tenant is an issuer, and decides which email addresses its people have. An address counts
    as verified only if Microsoft says that the tenant owns its domain (``xms_edov``). See
    https://learn.microsoft.com/entra/identity-platform/claims-validation
    """

    by_purpose = CHOOSE

    def __init__(self, configured: Issuer) -> None:
        super().__init__(configured)
        self.tenant = configured.tenant
        self.base = f"{self.issuer}/{self.tenant}/v2.0"
        self.named = f"{self.issuer}/{TENANTS.get(self.tenant, self.tenant)}/v2.0"

    def is_named(self, issuer: object) -> bool:
        pattern = re.escape(self.named).replace(re.escape(ANY_TENANT), GUID)
        return isinstance(issuer, str) and re.fullmatch(pattern, issuer) is not None

    def _verify(self, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of ``token``. The tenant is added to the beginning of their ``sub``.

        A key of one tenant must not sign for another tenant. The key set says for which tenant, or
        for all, each key is valid.
        """
        claims = super()._verify(token, nonce)
        tenant = str(claims.get("tid"))
        if self.tenant == "organizations" and tenant == CONSUMERS:
            raise Failed("tenant")
        key_id = jwt.get_unverified_header(token).get("kid")
        for issuer in (self.named, self.adapter.found.issuer_of(key_id)):
            if issuer.replace(ANY_TENANT, tenant) != claims["iss"]:
                raise Failed("issuer of the tenant")
        # All tenants are stored under one issuer, but a subject is unique only within its tenant.
        return claims | {"sub": f"{tenant}:{subject_of(claims['sub'])}"}

    def _more(self, token: dict[str, Any], access_token: str) -> dict[str, Any]:
        # The userinfo endpoint contains nothing that is missing in the ID token.
        return {}

    def is_verified(self, facts: dict[str, Any]) -> bool:
        return facts.get("xms_edov") is True


class Apple(OpenID):
    """Sign-in with Apple.

    Apple documents no PKCE, so the ``nonce`` binds the code to the attempt. See
    https://developer.apple.com/documentation/signinwithapplerestapi
    """

    posts = True
    scopes = ("email", "name")

    def __init__(self, configured: Issuer) -> None:
        super().__init__(configured)
        self.team_id, self.key_id = configured.team_id, configured.key_id

    def parameters(self, attempt: Attempt) -> Mapping[str, str]:
        return {"nonce": attempt.nonce, "response_mode": "form_post"}

    def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        client, now = self.client(), clock.now()
        claims = {
            "iss": self.team_id,
            "sub": self.app.client_id,
            "aud": self.issuer,
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        client.consumer_secret = jwt.encode(
            claims, self.app.secret, "ES256", headers={"kid": self.key_id}
        )
        return client.get_access_token(code)

    def fetch_profile(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
        """Return the profile, with the name that Apple sends only after the first consent."""
        profile = super().fetch_profile(attempt, answer)
        return replace(profile, name=_name_in(answer.get("user", "")))

    def is_verified(self, facts: dict[str, Any]) -> bool:
        # Documented as a boolean or a string.
        return facts.get("email_verified") in (True, "true")


def _name_in(user: str) -> str:
    """Return the name in the unsigned member ``user`` of Apple's response."""
    try:
        name = json.loads(user)["name"]
        return text_of(" ".join(text_of(name.get(part)) for part in ("firstName", "lastName")))
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return ""


# The classes by provider key. All other providers are OpenID Providers.
CLASSES = {
    "google": Google,
    "microsoft": Microsoft,
    "apple": Apple,
    "github": GitHub,
    "facebook": Facebook,
    "twitter_oauth2": X,
}

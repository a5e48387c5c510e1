"""Sign-in with OpenID Providers: verify the ID token and read the profile from its claims.

The checks are those of OpenID Connect Core 1.0 section 3.1.3.7. This module checks the nonce and
the signature itself, because allauth checks neither if it fetches the ID token from the provider.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider

from accounts.common import http_client
from accounts.common.issuers import GOOGLE
from accounts.social import metadata
from accounts.social.attempts import Act, Attempt
from accounts.social.errors import Failed
from accounts.social.metadata import Metadata
from accounts.social.provider_profile import ProviderProfile, email_of, text_of
from accounts.social.providers import GARBAGE, Provider, subject_of

# No symmetric algorithms: with them, everyone who knows the client secret could sign ID tokens (RFC
# 8725 section 3.1).
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

    def authorize_url(self, attempt: Attempt, state: str) -> str:
        try:
            known = metadata.cached(self.issuer)
            self.adapter.found = known or http_client.talk(
                self.key, lambda: metadata.of(self.issuer)
            )
            return super().authorize_url(attempt, state)
        except GARBAGE as error:
            raise Failed from error

    def parameters(self, attempt: Attempt) -> dict[str, str]:
        again = {"prompt": "login", "max_age": "0"} if attempt.act is Act.PROVE else {}
        return {"nonce": attempt.nonce, **again}

    def find_out(self, attempt: Attempt, answer: Mapping[str, str]) -> ProviderProfile:
        self.adapter.found = found = metadata.of(self.issuer)
        # Checked before the code is sent, because another issuer may have issued the code (RFC 9207
        # section 2.4).
        named = answer.get("iss")
        is_named = bool(found.get("authorization_response_iss_parameter_supported"))
        if (named is not None or is_named) and named != self.issuer:
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
                issuer=self.accepted_issuers,
                leeway=LEEWAY_SECONDS,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise Failed from error
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

    @property
    def accepted_issuers(self) -> list[str]:
        """The accepted values of the ``iss`` claim."""
        return [self.issuer]

    def _more(self, token: dict[str, Any], access_token: str) -> dict[str, Any]:
        """Return the claims from the userinfo endpoint.

        If the provider has no userinfo endpoint, return an empty dictionary.

        ``token``: the claims of the ID token.

        Raises:
            Failed: the ``sub`` of the response differs from that of the ID token (section 5.3.2).
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
        """Return whether the provider says that it has verified the email address in ``facts``.

        ``email_verified`` must be the boolean true, because the string ``"false"`` is truthy.
        """
        return facts.get("email_verified") is True


def _moment(at: object) -> datetime | None:
    """Return the NumericDate ``at`` (RFC 7519 section 2) as a datetime.

    If ``at`` is not a number, return None.
    """
    if isinstance(at, bool) or not isinstance(at, int | float):
        return None
    return datetime.fromtimestamp(at, UTC)


class Google(OpenID):
    """Sign-in with Google.

    Google cannot be asked to authenticate the person again. An email address counts as verified
    only if it is a Gmail address or belongs to a Google Workspace. See
    https://developers.google.com/identity/openid-connect/openid-connect
    """

    def parameters(self, attempt: Attempt) -> dict[str, str]:
        again = {} if attempt.act is Act.SIGN_IN else {"prompt": "select_account"}
        return {"nonce": attempt.nonce, **again}

    @property
    def accepted_issuers(self) -> list[str]:
        return [GOOGLE, GOOGLE.removeprefix("https://")]

    def is_verified(self, facts: dict[str, Any]) -> bool:
        is_googles = str(facts.get("email", "")).lower().endswith("@gmail.com")
        return super().is_verified(facts) and (is_googles or isinstance(facts.get("hd"), str))

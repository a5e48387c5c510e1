"""Test doubles of the providers that the site knows, on the loopback interface, over TLS.

Their answers have the documented form. During a test the providers' host names resolve to this
server; apart from that, the site uses its real HTTP client.
"""

import copy
import json
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.support.receiver import JSON, Server, say
from tests.support.social import come_back, go

CLIENT_ID, SECRET = "client-4711", "secret+of/this & that"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# The site may store neither of them.
CODE, TOKEN = "4/0AbCdEfGh-code", "access.token-5H5s5H5"

GOOGLE, GOOGLE_SUBJECT = "https://accounts.google.com", "10769150350006150715113082367"
DISCOVERY = f"{GOOGLE}/.well-known/openid-configuration"
GOOGLE_TOKEN = "https://oauth2.googleapis.com/token"
GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
GOOGLE_PERSON = "https://openidconnect.googleapis.com/v1/userinfo"
MICROSOFT, TENANT = "https://login.microsoftonline.com", "b9419818-09af-49c2-b0c3-653adc1f376e"
MICROSOFT_SUBJECT = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"
MICROSOFT_DISCOVERY = f"{MICROSOFT}/common/v2.0/.well-known/openid-configuration"
MICROSOFT_TOKEN = f"{MICROSOFT}/common/oauth2/v2.0/token"
MICROSOFT_KEYS = f"{MICROSOFT}/common/discovery/v2.0/keys"
APPLE, APPLE_SUBJECT = "https://appleid.apple.com", "001473.fe6f83bf4b8e4590aacbabdcb8598bd0.2039"
APPLE_DISCOVERY = f"{APPLE}/.well-known/openid-configuration"
APPLE_TOKEN, APPLE_KEYS = f"{APPLE}/auth/token", f"{APPLE}/auth/keys"
TEAM, KEY_ID = "DEF123GHIJ", "ABC123DEFG"
GITHUB_TOKEN = "https://github.com/login/oauth/access_token"
GITHUB_PERSON = "https://api.github.com/user"
GITHUB_MAILS = "https://api.github.com/user/emails"
FACEBOOK_TOKEN = "https://graph.facebook.com/v26.0/oauth/access_token"
FACEBOOK_PERSON = "https://graph.facebook.com/v26.0/me"
X_TOKEN = "https://api.x.com/2/oauth2/token"
X_PERSON = "https://api.x.com/2/users/me"
BEARER = {"access_token": TOKEN, "token_type": "bearer"}
MAIL = {"email": "alice@example.org", "verified": True, "primary": True, "visibility": None}

ANSWERS: dict[str, Any] = {
    # developers.google.com/identity/openid-connect/reference, "Discovery Document"
    DISCOVERY: {
        "issuer": GOOGLE,
        "authorization_endpoint": f"{GOOGLE}/o/oauth2/v2/auth",
        "token_endpoint": GOOGLE_TOKEN,
        "userinfo_endpoint": GOOGLE_PERSON,
        "jwks_uri": GOOGLE_KEYS,
        "authorization_response_iss_parameter_supported": True,
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    },
    # developers.google.com/identity/openid-connect/openid-connect, "Exchange code for access
    # token and ID token" and "Obtaining user profile information from the ID token"
    GOOGLE_TOKEN: BEARER | {"token_type": "Bearer", "expires_in": 3599, "scope": "openid email"},
    GOOGLE_KEYS: {},
    GOOGLE_PERSON: {"sub": GOOGLE_SUBJECT, "name": "Alice"},
    # learn.microsoft.com/entra/identity-platform/v2-protocols-oidc, "Fetch the OpenID
    # configuration document"; …/v2-oauth2-auth-code-flow, "Successful response"
    MICROSOFT_DISCOVERY: {
        "issuer": f"{MICROSOFT}/{{tenantid}}/v2.0",
        "authorization_endpoint": f"{MICROSOFT}/common/oauth2/v2.0/authorize",
        "token_endpoint": MICROSOFT_TOKEN,
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "jwks_uri": MICROSOFT_KEYS,
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    },
    MICROSOFT_TOKEN: BEARER | {"token_type": "Bearer", "expires_in": 3599, "scope": "openid email"},
    MICROSOFT_KEYS: {},
    # developer.apple.com/documentation/signinwithapplerestapi, "Request an authorization to the
    # Sign in with Apple server", "Token validation" and "TokenResponse"
    APPLE_DISCOVERY: {
        "issuer": APPLE,
        "authorization_endpoint": f"{APPLE}/auth/authorize",
        "token_endpoint": APPLE_TOKEN,
        "jwks_uri": APPLE_KEYS,
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    },
    APPLE_TOKEN: BEARER | {"expires_in": 3600, "refresh_token": "r5H5s5H5"},
    APPLE_KEYS: {},
    # docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps, "2. Users are
    # redirected back to your site by GitHub"
    GITHUB_TOKEN: BEARER | {"scope": "user:email"},
    # docs.github.com/rest/users/users, "Get the authenticated user"; /rest/users/emails
    GITHUB_PERSON: {"login": "alice", "id": 583231, "type": "User", "name": "Alice", "email": None},
    GITHUB_MAILS: [MAIL, MAIL | {"email": "other@example.org", "primary": False}],
    # developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow, "Exchanging Code
    # for an Access Token" (its verifier: …/advanced/oidc-token); docs/graph-api/reference/user
    FACEBOOK_TOKEN: BEARER | {"expires_in": 5183944},
    FACEBOOK_PERSON: {"id": "10160000000000001", "name": "Alice", "email": "alice@example.org"},
    # docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token, "Step 3: POST
    # oauth2/token"; docs.x.com/x-api/users/lookup/quickstart/authenticated-lookup
    X_TOKEN: BEARER | {"expires_in": 7200, "scope": "users.read tweet.read"},
    X_PERSON: {"data": {"id": "2244994945", "name": "Alice", "username": "alice"}},
}


@dataclass(frozen=True)
class Documented:
    """The requests to a provider as its documentation has them; ``ANSWERS`` names the pages.

    ``about`` are the URLs that return the profile. ``asks`` are further query parameters of the
    authorization request, by act.
    """

    key: str
    issuer: str
    subject: str
    authorize: str
    scope: set[str]
    token: str
    about: tuple[str, ...]
    asks: dict[str, dict[str, str]] = field(default_factory=dict)
    authorization: str = f"Bearer {TOKEN}"
    is_basic: bool = False
    # Where the metadata of an OpenID Provider is.
    discovery: str = ""
    has_pkce: bool = True
    verifies: bool = False


POSTED = {act: {"response_mode": "form_post"} for act in ("sign-in", "connect", "prove")}
CHOOSE = {act: {"prompt": "select_account"} for act in ("connect", "prove")}
# developers.facebook.com/docs/facebook-login/guides/advanced/re-authentication
AGAIN = {"prove": {"auth_type": "reauthenticate"}}
DOCUMENTED = (
    Documented(
        "google", GOOGLE, GOOGLE_SUBJECT, f"{GOOGLE}/o/oauth2/v2/auth",
        {"openid", "email", "profile"}, GOOGLE_TOKEN, (GOOGLE_KEYS, GOOGLE_PERSON), CHOOSE,
        is_basic=True, discovery=DISCOVERY, verifies=True,
    ),
    Documented(
        "microsoft", MICROSOFT, f"{TENANT}:{MICROSOFT_SUBJECT}",
        f"{MICROSOFT}/common/oauth2/v2.0/authorize", {"openid", "email", "profile"},
        MICROSOFT_TOKEN, (MICROSOFT_KEYS,), CHOOSE, discovery=MICROSOFT_DISCOVERY, verifies=True,
    ),
    Documented(
        "apple", APPLE, APPLE_SUBJECT, f"{APPLE}/auth/authorize", {"email", "name"},
        APPLE_TOKEN, (APPLE_KEYS,), POSTED, discovery=APPLE_DISCOVERY, has_pkce=False,
        verifies=True,
    ),
    Documented(  # docs.github.com/rest/authentication/authenticating-to-the-rest-api: either word
        "github", "https://github.com", "583231", "https://github.com/login/oauth/authorize",
        {"user:email"}, GITHUB_TOKEN, (GITHUB_PERSON, GITHUB_MAILS), CHOOSE,
        authorization=f"token {TOKEN}", verifies=True,
    ),
    Documented(
        "facebook", "https://www.facebook.com", "10160000000000001",
        "https://www.facebook.com/v26.0/dialog/oauth",
        {"email"}, FACEBOOK_TOKEN, (FACEBOOK_PERSON,), AGAIN, authorization="",
    ),
    Documented(
        "twitter_oauth2", "https://x.com", "2244994945", "https://x.com/i/oauth2/authorize",
        {"users.read", "tweet.read"}, X_TOKEN, (X_PERSON,), is_basic=True,
    ),
)  # fmt: skip
# What the provider adds to its published key, by the URL of the keys.
KEYS: dict[str, dict[str, str]] = {
    GOOGLE_KEYS: {},
    MICROSOFT_KEYS: {"issuer": f"{MICROSOFT}/{{tenantid}}/v2.0"},
    APPLE_KEYS: {},
}
# The claims of the ID token, by the URL of the token endpoint.
CLAIMS: dict[str, dict[str, Any]] = {
    GOOGLE_TOKEN: {"iss": GOOGLE, "azp": CLIENT_ID, "sub": GOOGLE_SUBJECT}
    | {"email_verified": True, "hd": "example.org"},
    # …/entra/identity-platform/id-token-claims-reference, …/optional-claims-reference
    MICROSOFT_TOKEN: {"iss": f"{MICROSOFT}/{TENANT}/v2.0", "tid": TENANT, "sub": MICROSOFT_SUBJECT}
    | {"name": "Alice", "preferred_username": "alice@example.org", "ver": "2.0"}
    | {"oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "xms_edov": True},
    APPLE_TOKEN: {"iss": APPLE, "sub": APPLE_SUBJECT, "email_verified": "true"}
    | {"is_private_email": "false", "nonce_supported": True, "auth_time": 1},
}
HOSTS = {urlsplit(url).hostname or "" for url in ANSWERS}


@dataclass(frozen=True)
class Answer:
    """An answer with a status; a text is sent as a form-encoded body."""

    body: Any
    status: int = 200


@dataclass(frozen=True)
class Request:
    """A request that the site has sent."""

    method: str
    url: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]


class Doubles(Server):
    """The providers; tests change ``answers``, by URL, and override ``claims`` of the ID token."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, sorted(HOSTS))
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.reset()

    def reset(self) -> None:
        """As documented, and nothing asked yet."""
        self.answers = copy.deepcopy(ANSWERS)
        for url, more in KEYS.items():
            self.answers[url] = {"keys": [self.key.as_dict(private=False) | more]}
        self.claims: dict[str, Any] = {}
        self.nonce = ""
        self.requests: list[Request] = []

    def send_back(self, url: str) -> dict[str, str]:
        """What a browser that was sent to ``url`` brings back."""
        asked = dict(parse_qsl(urlsplit(url).query))
        self.nonce = asked.get("nonce", "")
        if urlsplit(url).netloc == "appleid.apple.com":
            # The name comes only after the first consent.
            name = {"name": {"firstName": "Alice", "lastName": ""}, "email": "alice@example.org"}
            return {"code": CODE, "state": asked["state"], "user": json.dumps(name)}
        # These two name themselves (RFC 9207).
        named = {"accounts.google.com": GOOGLE, "github.com": "https://github.com/login/oauth"}
        iss = named.get(urlsplit(url).netloc)
        return {"code": CODE, "state": asked["state"], **({"iss": iss} if iss else {})}

    def round_trip(self, client: Client, provider: str) -> Any:
        """Send a browser to the provider and back, and return the site's answer."""
        return come_back(client, self.send_back(go(client, provider)), provider)

    def asked(self, url: str) -> Request:
        """Return the only request for ``url``."""
        (request,) = [request for request in self.requests if request.url == url]
        return request

    def receive(self, request: Any, body: str) -> None:
        parts = urlsplit(request.path)
        url = f"https://{request.headers['Host']}{parts.path}"
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        form, headers = dict(parse_qsl(body)), dict(request.headers)
        self.requests.append(Request(request.command, url, query, form, headers))
        answer = self.answer(url)
        if isinstance(answer.body, str):
            return say(answer.status, answer.body.encode(), **FORM)(request)
        return say(answer.status, json.dumps(answer.body).encode(), **JSON)(request)

    def answer(self, url: str) -> Answer:
        found = self.answers.get(url, Answer({}, 404))
        if url in CLAIMS and not isinstance(found, Answer):
            found |= {"id_token": self._id_token(CLAIMS[url])}
        return found if isinstance(found, Answer) else Answer(found)

    def _id_token(self, own: dict[str, Any]) -> str:
        now = int(time.time())
        right = {"aud": CLIENT_ID, "nonce": self.nonce, "iat": now, "exp": now + 3600}
        right |= {"email": "alice@example.org"} | own
        claims = {k: v for k, v in (right | self.claims).items() if v is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)

    def stand_in(self, patch: pytest.MonkeyPatch) -> None:
        """Resolve the providers' host names to this server, and trust its certificate."""
        from accounts.common import http_client

        def addresses(host: str, port: int) -> list[Any]:
            assert (host in HOSTS, port) == (True, 443), host
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", self.port))]

        patch.setattr(http_client, "_addresses", addresses)
        patch.setattr(http_client, "is_public", lambda _address: True)
        patch.setattr(http_client, "where", lambda: str(self.authority))


KNOWN = ("google", "microsoft", "github", "facebook", "twitter")
CREDENTIALS = {f"{name}_client_id": CLIENT_ID for name in (*KNOWN, "apple")} | {
    f"{name}_client_secret": SECRET for name in KNOWN
}
# What Apple has in place of a secret.
APPLE_SIGNER = ECKey.generate_key("P-256")
CREDENTIALS |= {"apple_team_id": TEAM, "apple_key_id": KEY_ID}
CREDENTIALS |= {"apple_private_key": APPLE_SIGNER.as_pem(private=True).decode()}

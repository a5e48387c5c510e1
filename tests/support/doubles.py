"""Test doubles of Google, GitHub, Facebook and X on the loopback interface, over TLS.

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
from joserfc.jwk import RSAKey

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
    verifies: bool = False


CHOOSE = {act: {"prompt": "select_account"} for act in ("connect", "prove")}
# developers.facebook.com/docs/facebook-login/guides/advanced/re-authentication
AGAIN = {"prove": {"auth_type": "reauthenticate"}}
DOCUMENTED = (
    Documented(
        "google", GOOGLE, GOOGLE_SUBJECT, f"{GOOGLE}/o/oauth2/v2/auth",
        {"openid", "email", "profile"}, GOOGLE_TOKEN, (GOOGLE_KEYS, GOOGLE_PERSON), CHOOSE,
        is_basic=True, verifies=True,
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
        self.answers[GOOGLE_KEYS] = {"keys": [self.key.as_dict(private=False)]}
        self.claims: dict[str, Any] = {}
        self.nonce = ""
        self.requests: list[Request] = []

    def send_back(self, url: str) -> dict[str, str]:
        """What a browser that was sent to ``url`` brings back."""
        asked = dict(parse_qsl(urlsplit(url).query))
        self.nonce = asked.get("nonce", "")
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
        if url == GOOGLE_TOKEN and not isinstance(found, Answer):
            found |= {"id_token": self._id_token()}
        return found if isinstance(found, Answer) else Answer(found)

    def _id_token(self) -> str:
        now = int(time.time())
        right = {
            **{"iss": GOOGLE, "azp": CLIENT_ID, "aud": CLIENT_ID, "nonce": self.nonce},
            **{"sub": GOOGLE_SUBJECT, "iat": now, "exp": now + 3600},
            **{"email": "alice@example.org", "email_verified": True, "hd": "example.org"},
        }
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


KNOWN = ("google", "github", "facebook", "twitter")
CREDENTIALS = {f"{name}_client_id": CLIENT_ID for name in KNOWN} | {
    f"{name}_client_secret": SECRET for name in KNOWN
}

"""An OpenID Provider on the loopback interface that a test can make misbehave."""

import base64
import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.support.receiver import JSON, Answer, Server, say

CLIENT_ID, CLIENT_SECRET = "authsite", "a secret+of/two & more"


@dataclass
class Person:
    """A person with an account at the provider."""

    subject: str
    email: str = ""
    email_verified: Any = True
    name: str = ""
    username: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        named = {"name": self.name, "preferred_username": self.username}
        mail = {"email": self.email, "email_verified": self.email_verified} if self.email else {}
        return {k: v for k, v in named.items() if v} | mail | self.more


@dataclass
class Grant:
    """The person and the authorization request that belong to an authorization code."""

    person: Person
    asked: dict[str, str]


class OpenIDProvider(Server):
    """Serves discovery, keys, the token and the userinfo endpoint, and signs in without asking.

    ``claims``, ``header``, ``userinfo`` and ``metadata`` override the correct members; None removes
    one. ``key`` signs in place of the published key. ``instead[path]`` answers requests for a path.
    ``requests`` are the paths that were requested.
    """

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.published: ECKey | RSAKey = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
        self.key: Any = None
        self.instead: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.person = Person("alice-1", "alice@example.org", name="Alice", username="alice")
        self.refuses = False
        self.signed_in_at: float | None = None
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[str, Person] = {}
        self.origin = self.issuer = f"http://127.0.0.1:{self.port}"

    def receive(self, request: Any, body: str) -> None:
        path = urlsplit(request.path).path
        self.requests.append(path)
        answer = self.instead.get(path) or self._answer(request, path, body)
        answer(request)

    def setting(self, key: str = "acme", name: str = "Acme", **more: Any) -> dict[str, Any]:
        """Return the entry of ``OIDC_PROVIDERS`` for this provider."""
        facts = {"id": key, "name": name, "issuer": self.issuer, "client_id": CLIENT_ID}
        return facts | {"client_secret": CLIENT_SECRET} | more

    def answer(self, url: str, person: Person | None = None) -> dict[str, str]:
        """Return the query that the provider sends to the redirect URI for a request to ``url``."""
        asked = dict(parse_qsl(urlsplit(url).query))
        back = {"state": asked["state"], "iss": self.issuer}
        if self.refuses:
            return back | {"error": "access_denied"}
        code = f"code-{token_hex(8)}"
        self._grants[code] = Grant(person or self.person, asked)
        return back | {"code": code}

    @property
    def tokens(self) -> list[str]:
        """The access tokens that were issued so far."""
        return list(self._tokens)

    def count(self, path: str) -> int:
        """Return how often a path was requested."""
        return self.requests.count(path)

    def _discovery(self) -> dict[str, Any]:
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "jwks_uri": f"{self.origin}/jwks",
            "userinfo_endpoint": f"{self.origin}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return _over(right, self.metadata)

    def _exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None:
            return 400, {"error": "invalid_grant"}
        user, _colon, password = base64.b64decode(authorization[6:]).decode().partition(":")
        if (unquote_plus(user), unquote_plus(password)) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        is_same = form.get("redirect_uri") == grant.asked["redirect_uri"]
        if challenge != grant.asked["code_challenge"] or not is_same:
            return 400, {"error": "invalid_grant"}
        token = f"token-{token_hex(8)}"
        self._tokens[token] = grant.person
        id_token = self._id_token(grant)
        return 200, {"access_token": token, "token_type": "Bearer", "id_token": id_token}

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        right = {
            "iss": self.issuer,
            "sub": grant.person.subject,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.asked["nonce"],
        }
        if "max_age" in grant.asked or self.signed_in_at:
            right["auth_time"] = self.signed_in_at or now
        key = self.key or self.published
        header = _over({"alg": "ES256", "kid": "one"}, self.header)
        algorithms = [header["alg"]]
        return jwt.encode(header, _over(right, self.claims), key, algorithms=algorithms)

    def _answer(self, request: Any, path: str, body: str) -> Answer:
        authorization = request.headers.get("Authorization", "")
        status, told = 404, {}
        if path == "/authorize":
            to = dict(parse_qsl(urlsplit(request.path).query))["redirect_uri"]
            return say(302, Location=f"{to}?{urlencode(self.answer(request.path))}")
        if path == "/.well-known/openid-configuration":
            status, told = 200, self._discovery()
        elif path == "/jwks":
            status, told = 200, {"keys": [self.published.as_dict(private=False)]}
        elif path == "/userinfo":
            status, told = self._profile(authorization.removeprefix("Bearer "))
        elif path == "/token":
            status, told = self._exchange(dict(parse_qsl(body)), authorization)
        return say(status, json.dumps(told).encode(), **JSON)

    def _profile(self, token: str) -> tuple[int, dict[str, Any]]:
        if (person := self._tokens.get(token)) is None:
            return 401, {"error": "invalid_token"}
        return 200, _over({"sub": person.subject, **person.facts}, self.userinfo)


def _over(right: dict[str, Any], wrong: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in (right | wrong).items() if v is not None}

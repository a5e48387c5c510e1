"""An OpenID Provider on the loopback interface that a test can make misbehave."""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

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


class OpenIDProvider:
    """Serves discovery, keys, the token and the userinfo endpoint, and signs in without asking.

    ``claims``, ``header``, ``userinfo`` and ``metadata`` override the correct members; None removes
    one. ``key`` signs in place of the published key. ``instead[path]`` answers requests for a path.
    ``requests`` are the paths that were requested.
    """

    def __init__(self, path: str = "") -> None:
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.published: ECKey | RSAKey = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
        self.key: Any = None
        self.instead: dict[str, Callable[[Any], None]] = {}
        self.requests: list[str] = []
        self.person = Person("alice-1", "alice@example.org", name="Alice", username="alice")
        self.refuses = False
        self.signed_in_at: float | None = None
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[str, Person] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.issuer = self.origin + path

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

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

    def _answers(self, request: Any, path: str) -> tuple[int, dict[str, Any]]:
        if path == f"{urlsplit(self.issuer).path}/.well-known/openid-configuration":
            return 200, self._discovery()
        if path == "/jwks":
            return 200, {"keys": [self.published.as_dict(private=False)]}
        if path == "/userinfo":
            person = self._tokens.get(request.headers.get("Authorization", "")[7:])
            if person is None:
                return 401, {"error": "invalid_token"}
            return 200, _over({"sub": person.subject, **person.facts}, self.userinfo)
        if path == "/token":
            length = int(request.headers.get("Content-Length", 0))
            form = {k: v[0] for k, v in parse_qs(request.rfile.read(length).decode()).items()}
            return self._exchange(form, request.headers.get("Authorization", ""))
        return 404, {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                provider.requests.append(path)
                if path in provider.instead:
                    return provider.instead[path](self)
                if path == "/authorize":
                    return self._redirect()
                status, body = provider._answers(self, path)
                return send(self, json.dumps(body).encode(), status=status)

            do_POST = do_GET  # noqa: N815 of http.server

            def _redirect(self) -> None:
                asked = dict(parse_qsl(urlsplit(self.path).query))
                back = urlencode(provider.answer(self.path))
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Do not log requests: tests read ``requests``."""

        return Handler


def send(request: Any, body: bytes, *, status: int = 200, kind: str = "application/json") -> None:
    """Send an answer with ``body``."""
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _over(right: dict[str, Any], wrong: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in (right | wrong).items() if v is not None}

"""An OpenID Provider for ``make demo``, with fictional people.

It listens on loopback only, and never asks for a password. Run it only on your own machine.
"""

import base64
import html
import json
import re
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

PEOPLE: dict[str, dict[str, Any]] = {
    "dora": {"email": "dora@example.org", "email_verified": True, "name": "Dora Marquez"},
    "erin": {"email": "alice@example.org", "email_verified": False, "name": "Erin"},
    "alice": {"email": "alice@example.org", "email_verified": True, "name": "Alice"},
    "frank": {"name": "Frank"},
}
WORDS = {
    "dora": "is new here and has a verified email address",
    "erin": "has alice’s email address, unverified, so the site ignores it",
    "alice": "has the verified email address of an account: she signs in to that account first",
    "frank": "has no email address",
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui;max-width:34rem;margin:2rem auto;padding:0 1rem;
color-scheme:light dark}}button{{font:inherit;margin:.25rem 0;padding:.5rem 1rem}}</style>
<h1>{title}</h1>{body}"""


class Issuer:
    """Serves provider metadata, keys, a sign-in page, tokens and userinfo.

    ``notes`` returns HTML for the start page, and is called each time that page is shown.
    """

    def __init__(self, port: int, client_id: str, notes: Callable[[], str] = str) -> None:
        self.url, self.client = f"http://localhost:{port}", (client_id, secrets.token_urlsafe(24))
        self.notes = notes
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._grants: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, str] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())

    def discovery(self) -> dict[str, Any]:
        """Return the metadata of the provider (OpenID Connect Discovery 1.0 section 3)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def jwks(self) -> dict[str, Any]:
        """Return the JSON Web Key Set, which has one public key."""
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "demo", "use": "sig", "alg": "ES256"}]}

    def ask(self, asked: dict[str, str]) -> str:
        """Return the sign-in page, on which the visitor chooses one of the fictional people."""
        hidden = html.escape(json.dumps(asked))
        rows = "".join(
            f'<p><button name="who" value="{who}">{facts.get("name", who)}'
            f"</button><br>{html.escape(WORDS[who])}</p>"
            for who, facts in PEOPLE.items()
        )
        body = (
            f'<form method="post"><input type="hidden" name="asked" value="{hidden}">{rows}'
            '<p><button name="who" value="">Refuse</button></p></form>'
        )
        return PAGE.format(title="Who are you?", body=body)

    def answer(self, who: str, asked: dict[str, str]) -> str:
        """Return the URL to which the browser is redirected with a code, or with a refusal."""
        there = asked.get("redirect_uri", "")
        if not re.fullmatch(r"http://localhost:\d+/accounts/oidc/demo/login/callback/", there):
            # Any website can send a form here, so no other redirect URI is allowed.
            return "/"
        back = {"state": asked.get("state", ""), "iss": self.url}
        if who in PEOPLE:
            code = secrets.token_urlsafe(24)
            self._grants[code] = {**asked, "who": who, "at": str(int(time.time()))}
            back["code"] = code
        else:
            back["error"] = "access_denied"
        return f"{there}?{urlencode(back)}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return the tokens for a code, which works once, or None if the request is invalid."""
        grant = self._grants.pop(form.get("code", ""), None)
        basic = "Basic " + base64.b64encode(":".join(self.client).encode()).decode()
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not grant or authorization != basic or challenge != grant.get("code_challenge"):
            return None
        now, token = int(time.time()), secrets.token_urlsafe(24)
        self._tokens[token] = grant["who"]
        claims = {
            "iss": self.url,
            "sub": f"demo-{grant['who']}",
            "aud": self.client[0],
            "iat": now,
            "exp": now + 300,
            "auth_time": int(grant["at"]),
            "nonce": grant.get("nonce"),
        }
        signed = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": "demo"})
        return {"access_token": token, "token_type": "Bearer", "id_token": signed}

    def userinfo(self, authorization: str) -> dict[str, Any] | None:
        """Return the claims of the person whose access token was sent, or None."""
        who = self._tokens.get(authorization.removeprefix("Bearer "))
        facts = {"sub": f"demo-{who}", "preferred_username": who, **PEOPLE[who]} if who else None
        return facts

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self._is_elsewhere():
                    return
                url = urlsplit(self.path)
                json_pages = {
                    "/.well-known/openid-configuration": issuer.discovery,
                    "/jwks": issuer.jwks,
                    "/userinfo": lambda: issuer.userinfo(self.headers.get("Authorization", "")),
                }
                if url.path in json_pages:
                    self._json(json_pages[url.path]())
                elif url.path == "/authorize":
                    self._html(issuer.ask(dict(parse_qsl(url.query))))
                else:
                    self._html(PAGE.format(title="The demo’s issuer", body=issuer.notes()))

            def do_POST(self) -> None:
                if self._is_elsewhere():
                    return
                length = int(self.headers.get("Content-Length", 0))
                form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
                if urlsplit(self.path).path == "/token":
                    self._json(issuer.exchange(form, self.headers.get("Authorization", "")))
                    return
                self.send_response(303)
                where = issuer.answer(form.get("who", ""), json.loads(form.get("asked", "{}")))
                self.send_header("Location", where)
                self.end_headers()

            def _is_elsewhere(self) -> bool:
                """Refuse requests to other host names, which a DNS rebinding attack would send."""
                is_elsewhere = self.headers.get("Host") != urlsplit(issuer.url).netloc
                if is_elsewhere:
                    self._send(400, "", "text/plain")
                return is_elsewhere

            def _json(self, body: dict[str, Any] | None) -> None:
                status = 200 if body else 400
                self._send(
                    status, json.dumps(body or {"error": "invalid_grant"}), "application/json"
                )

            def _html(self, page: str) -> None:
                self._send(200, page, "text/html; charset=utf-8")

            def _send(self, status: int, text: str, kind: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Log nothing, because the terminal shows the output of the site."""

        return Handler

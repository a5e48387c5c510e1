"""An app for ``make demo`` that signs people in with their accounts at the site.

It shows the steps of OpenID Connect without a library for them. For an app of your own, begin with
one of ``docs/sign-in-with.md``. It listens on loopback only.
"""

import base64
import html
import json
import secrets
from hashlib import sha256
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import jwt

from docs.examples.issuer import PAGE

SECONDS = 10


class Shop:
    """Signs people in at ``issuer``, where it is registered as the public app ``client_id``."""

    def __init__(self, port: int, issuer: str, client_id: str) -> None:
        self.url, self.issuer, self.client_id = f"http://127.0.0.1:{port}/", issuer, client_id
        # By the values of cookies: the sign-ins that have begun, and the people signed in.
        self._begun: dict[str, dict[str, str]] = {}
        self._people: dict[str, dict[str, Any]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())

    def begin(self, browser: str) -> str:
        """Return the URL of the authorization request for the browser with this cookie."""
        begun = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        self._begun[browser] = begun
        digest = sha256(begun["verifier"].encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": f"{self.url}callback",
            "scope": "openid profile email",
            "state": begun["state"],
            "nonce": begun["nonce"],
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return f"{self._endpoint('authorization_endpoint')}?{urlencode(asked)}"

    def finish(self, browser: str, answer: dict[str, str]) -> str:
        """Exchange the code for an ID token and return the browser's new cookie.

        Raises:
            ValueError: the answer belongs to another browser, or is a refusal.
            jwt.PyJWTError: the ID token is invalid.
        """
        begun = self._begun.pop(browser, {})
        if not begun or answer.get("state") != begun["state"] or "code" not in answer:
            raise ValueError(answer.get("error", "not the answer to a request of this browser"))
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": answer["code"],
            "redirect_uri": f"{self.url}callback",
            "code_verifier": begun["verifier"],
        }
        tokens = _fetch(self._endpoint("token_endpoint"), urlencode(form).encode())
        claims = self._verified(tokens["id_token"])
        if claims.get("nonce") != begun["nonce"]:
            raise ValueError("the ID token belongs to another request")
        session = secrets.token_urlsafe(32)
        self._people[session] = {"claims": claims, "hint": tokens["id_token"]}
        return session

    def end(self, browser: str) -> str:
        """Forget who is signed in, and return the URL that signs the person out at the site."""
        asked = {"client_id": self.client_id, "post_logout_redirect_uri": self.url}
        if person := self._people.pop(browser, None):
            asked["id_token_hint"] = person["hint"]
        return f"{self._endpoint('end_session_endpoint')}?{urlencode(asked)}"

    def page(self, browser: str) -> str:
        """Return the only page of the app: who is signed in, and what the app knows of them."""
        if person := self._people.get(browser):
            known = html.escape(json.dumps(person["claims"], indent=2))
            body = f'<pre>{known}</pre><p><a href="/sign-out">Sign out</a></p>'
        else:
            body = '<p><a href="/sign-in">Sign in with authsite</a></p>'
        return PAGE.format(title="The demo’s shop", body=body)

    def _verified(self, token: str) -> dict[str, Any]:
        key = jwt.PyJWKClient(self._endpoint("jwks_uri")).get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token, key, algorithms=["RS256"], audience=self.client_id, issuer=self.issuer
        )
        return dict(claims)

    def _endpoint(self, name: str) -> str:
        return str(_fetch(f"{self.issuer}/.well-known/openid-configuration")[name])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                cookies = SimpleCookie(self.headers.get("Cookie", ""))
                browser = cookies["shop"].value if "shop" in cookies else secrets.token_urlsafe(32)
                # Refuse requests to other host names, which a DNS rebinding attack would send.
                if f"http://{self.headers.get('Host')}/" != shop.url:
                    self._send(400, browser)
                elif url.path == "/sign-in":
                    self._send(302, browser, to=shop.begin(browser))
                elif url.path == "/sign-out":
                    self._send(302, browser, to=shop.end(browser))
                elif url.path == "/callback":
                    try:
                        self._send(302, shop.finish(browser, dict(parse_qsl(url.query))), to="/")
                    except (ValueError, OSError, jwt.PyJWTError) as error:
                        self._send(403, browser, f"Not signed in: {html.escape(str(error))}")
                else:
                    self._send(200, browser, shop.page(browser))

            def _send(self, status: int, browser: str, page: str = "", to: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page.encode())))
                self.send_header("Set-Cookie", f"shop={browser}; HttpOnly; SameSite=Lax; Path=/")
                if to:
                    self.send_header("Location", to)
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_args: Any) -> None:
                """Log nothing, because the terminal shows the output of the site."""

        return Handler


def _fetch(url: str, form: bytes | None = None) -> dict[str, Any]:
    with urlopen(url, form, SECONDS) as answer:  # noqa: S310 the URL is the site’s
        return dict(json.load(answer))

"""An app and a person's browser, which check each answer as the conformance suite does."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from django.test import Client as Browser

from accounts.common import secrets
from tests.support.apps import WEB
from tests.support.authorize import AUTHORIZE, VERIFIER, allow, posted, result, target
from tests.support.oauth_client import FORM, Answer, App
from tests.support.steps import LOGIN, PASSWORD

DISCOVERY = "/.well-known/openid-configuration"
USERINFO, REAUTHENTICATE = "/oauth/userinfo", "/accounts/reauthenticate/"
# The seconds by which a test moves the clock of the site, and no more.
LEEWAY = 120
type Json = dict[str, Any]


@dataclass
class SignedIn:
    """What an app got from one sign-in: its request, the answer with the tokens, and the claims."""

    asked: dict[str, str]
    code: str
    tokens: Answer
    claims: Json


@dataclass
class RelyingParty:
    """``app``, and the browser of alice.

    ``mode``: the response mode of its requests.
    ``pages``: the paths of the pages for which alice typed or pressed something.
    ``warnings``: what the suite would warn of.
    """

    app: App
    mode: str = "query"
    browser: Browser = field(default_factory=Browser)
    pages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def should(self, condition: bool, words: str) -> None:
        """Note a warning unless ``condition`` holds."""
        if not condition:
            self.warnings.append(words)

    @property
    def server(self) -> Json:
        return dict(Browser().get(DISCOVERY).json())

    def request(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters of a request; a change to None leaves one out."""
        valid: dict[str, str | None] = {
            "client_id": self.app.client.pk,
            "redirect_uri": WEB,
            "response_type": "code",
            "scope": "openid",
            "state": secrets.token(),
            "nonce": secrets.token(),
            "response_mode": "form_post" if self.mode == "form_post" else None,
        }
        return {name: value for name, value in (valid | changes).items() if value is not None}

    def open(self, asked: dict[str, str], *, by_post: bool = False) -> Any:
        """Open the request ``asked`` in the browser, and return the last answer.

        Alice signs in, and presses "Allow".
        """
        send = self.browser.post if by_post else self.browser.get
        return self.visit(send(AUTHORIZE, asked))

    def visit(self, answer: Any) -> Any:
        """Do what a person does at each page, until the browser is sent to the app or stays."""
        for _page in range(12):
            place = target(answer)
            if place.startswith("/"):
                answer = self.browser.get(place)
                continue
            here = urlsplit(answer.wsgi_request.get_full_path())
            if here.path in {LOGIN, REAUTHENTICATE}:
                fields = {"login": "alice", "password": PASSWORD, "next": _next(here.query)}
                answer = self.browser.post(here.path, fields)
            elif 'value="allow"' in answer.text:
                answer = allow(self.browser, answer)
            else:
                return answer
            self.pages.append(here.path)
        raise AssertionError("The pages lead in a circle.")

    def callback(self, answer: Any, asked: dict[str, str]) -> dict[str, str]:
        """Return the parameters that the app gets, and check those of every answer."""
        if self.mode == "form_post":
            got = posted(answer)
            assert f'<form method="post" action="{WEB}">' in answer.text
        else:
            got = result(answer)
            assert target(answer).startswith(f"{WEB}?")
        assert (got.get("state"), got["iss"]) == (asked.get("state"), self.server["issuer"])
        return got

    def error(self, answer: Any, asked: dict[str, str]) -> str:
        """Return the error code that the app gets, and check the parameters beside it."""
        got = self.callback(answer, asked)
        assert got.keys() <= {"error", "error_description", "error_uri", "state", "iss"}
        assert re.fullmatch(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*", got.get("error_description", ""))
        return got["error"]

    def redeem(self, code: str, **form: str) -> Answer:
        """Exchange ``code`` without PKCE."""
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": WEB}
        return self.app.post("/oauth/token", **sent, **form)

    def sign_in(self, *, by_post: bool = False, **changes: str | None) -> SignedIn:
        """Let alice sign in to the app, check all answers, and call userinfo once."""
        asked = self.request(**changes)
        code = self.callback(self.open(asked, by_post=by_post), asked)["code"]
        assert len(code) >= 32
        form = {"code_verifier": VERIFIER} if "code_challenge" in asked else {}
        tokens = self.redeem(code, **form)
        assert tokens.status == 200, tokens.body
        assert (tokens["token_type"], tokens["expires_in"] > 0) == ("Bearer", True)
        assert tokens.headers["Content-Type"] == "application/json"
        assert tokens.headers["Cache-Control"] == "no-store"
        claims = self.id_token(tokens["id_token"], asked.get("nonce"))
        assert self.userinfo(tokens["access_token"])["sub"] == claims["sub"]
        return SignedIn(asked, code, tokens, claims)

    def id_token(self, token: str, nonce: str | None) -> Json:
        """Verify an ID token with the published keys, and return its claims."""
        head, server = jwt.get_unverified_header(token), self.server
        keys = Browser().get(urlsplit(server["jwks_uri"]).path).json()["keys"]
        [key] = [key for key in keys if key["kid"] == head["kid"]]
        assert head["alg"] in server["id_token_signing_alg_values_supported"]
        claims = jwt.decode(
            token,
            jwt.PyJWK(key).key,
            [head["alg"]],
            audience=self.app.client.pk,
            issuer=server["issuer"],
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        assert claims.get("nonce") == nonce
        assert len(claims["sub"]) <= 255
        return dict(claims)

    def userinfo(self, token: str, *, method: str = "get", in_form: bool = False) -> Json:
        """Return what userinfo says, and check the types of the standard claims."""
        headers = {} if in_form else {"Authorization": f"Bearer {token}"}
        data = f"access_token={token}" if in_form else ""
        answer = self.browser.generic(
            method.upper(), USERINFO, data, content_type=FORM if in_form else "", headers=headers
        )
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
        claims: Json = json.loads(answer.content)
        assert isinstance(claims.get("updated_at", 0), int)
        assert isinstance(claims.get("email_verified", True), bool)
        texts = claims.keys() - {"updated_at", "email_verified", "groups"}
        assert all(isinstance(claims[name], str) for name in texts)
        return claims


def _next(query: str) -> str:
    return parse_qs(query)["next"][0]

"""An app and a person's browser, which check each answer as the conformance suite does."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, override
from urllib.parse import parse_qs, urlsplit

import jwt
from django.test import Client as Browser

from accounts.common import secrets
from accounts.oauth.management.commands.add_client import PROFILES
from tests.support.apps import WEB
from tests.support.authorize import (
    AUTHORIZE,
    CHALLENGE,
    PAR,
    VERIFIER,
    allow,
    posted,
    result,
    target,
)
from tests.support.client_keys import KeyedApp, public_of
from tests.support.dpop import TOKEN, USERINFO, Key
from tests.support.forgeries import key_of
from tests.support.oauth_client import FORM, Answer, App, new_app
from tests.support.steps import LOGIN, PASSWORD

DISCOVERY = "/.well-known/openid-configuration"
REAUTHENTICATE = "/accounts/reauthenticate/"
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
    ``act``: the button that alice presses on the page that asks for consent.
    ``pages``: the paths of the pages for which alice typed or pressed something.
    ``warnings``: what the suite would warn of.
    """

    token_type: ClassVar = "Bearer"

    app: App
    mode: str = "query"
    act: str = "allow"
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

        Alice signs in and presses ``act``.
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
                answer = allow(self.browser, answer, self.act)
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
        assert (tokens["token_type"], tokens["expires_in"] > 0) == (self.token_type, True)
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

    def authorization(self, token: str, _method: str = "GET") -> dict[str, str]:
        """Return the headers of a call of userinfo."""
        return {"Authorization": f"Bearer {token}"}

    def userinfo(self, token: str, *, method: str = "get", in_form: bool = False) -> Json:
        """Return what userinfo says, and check the types of the standard claims."""
        headers = {} if in_form else self.authorization(token, method.upper())
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


@dataclass
class FapiParty(RelyingParty):
    """An app that signs, pushes its requests, and binds its tokens to ``key`` (FAPI 2.0).

    ``proof``: what is unusual in its DPoP proofs.
    """

    token_type = "DPoP"

    key: Key = field(default_factory=Key)
    proof: Json = field(default_factory=dict)

    @override
    def request(self, **changes: str | None) -> dict[str, str]:
        pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return super().request(**(pkce | changes))

    def push(self, asked: dict[str, str], *, is_bound: bool = False, **form: str) -> Answer:
        """Push a request; with a DPoP proof if ``is_bound``."""
        proof = self.key.proof("POST", PAR, **self.proof) if is_bound else ""
        return self.app.post(PAR, dpop=proof, **asked, **form)

    def follow(self, request_uri: str, **more: str) -> Any:
        """Open a pushed request in the browser, and return the last answer."""
        pushed = {"client_id": self.app.client.pk, "request_uri": request_uri}
        return self.visit(self.browser.get(AUTHORIZE, pushed | more))

    @override
    def open(self, asked: dict[str, str], *, by_post: bool = False, is_bound: bool = False) -> Any:
        pushed = self.push(asked, is_bound=is_bound)
        assert pushed.status == 201, pushed.body
        assert pushed["expires_in"] > 0
        return self.follow(pushed["request_uri"])

    @override
    def redeem(self, code: str, **form: str) -> Answer:
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": WEB}
        proof = self.key.proof("POST", TOKEN, **self.proof)
        return self.app.post(TOKEN, **({"dpop": proof} | sent | form))

    @override
    def authorization(self, token: str, _method: str = "GET") -> dict[str, str]:
        proof = self.key.proof(_method, USERINFO, token=token, **self.proof)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    def code(self, *, is_bound: bool = False, **changes: str | None) -> str:
        """Return the code of a request that alice has allowed."""
        asked = self.request(**changes)
        return self.callback(self.open(asked, is_bound=is_bound), asked)["code"]


def fapi_party(name: str, browser: Browser | None = None) -> FapiParty:
    """Register an app as ``add_client --profile fapi2`` does."""
    key = key_of("ES256", name)
    client = new_app(name, jwks=public_of(key), **PROFILES["fapi2"]).client
    return FapiParty(KeyedApp(client, key=key), browser=browser or Browser())


def _next(query: str) -> str:
    return parse_qs(query)["next"][0]

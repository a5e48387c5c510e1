"""Random requests to all endpoints for apps. None may cause a server error.

The seed is fixed, so that a failure can be repeated.
"""

import json
import random
from collections import deque
from urllib.parse import quote_plus, urlencode

import pytest
from django.db import connection
from django.test import Client as Browser

from tests.support.api_input import storable
from tests.support.api_jwt import basic
from tests.support.apps import WEB
from tests.support.oauth_client import EVERYTHING, FORM, VERIFIER, browser_of, new_app
from tests.support.registration import REGISTER, VALID, new_token
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

ENDPOINTS = (
    *("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/userinfo", "/oauth/par"),
    REGISTER,
    *("/oauth/authorize", "/oauth/logout", "/.well-known/openid-configuration"),
    *("/.well-known/oauth-protected-resource", "/oauth/device_authorization", "/oauth/device"),
    *("/accounts/apps/%00/", "/accounts/apps/..%2F/", "/accounts/apps/%F0%9F%92%A5/"),
)
NAMES = (
    *("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource"),
    *("client_id", "client_secret", "client_assertion", "token", "token_type_hint", "state"),
    *("id_token_hint", "post_logout_redirect_uri", "response_type", "code_challenge", "prompt"),
    *("code_challenge_method", "max_age", "acr_values", "request_uri", "request", "nonce", "x\0"),
    *("login_hint", "ui_locales", "response_mode", "claims", "registration"),
)
JUNK = (
    *("", "\0", " ", "\r\nX: y", "\ufeff", "\u202e", "\U0010ffff", "%00", "%ff", "null", "[]"),
    *("9" * 400, "a" * 9000, "none", "openid openid", "..", "e30.e30.", "1e999", "'\"<>", "a=b&c"),
    *("urn:ietf:params:oauth:request_uri:", "de-" * 200, "login", "-1"),
)
MEMBERS = (
    *("client_name", "redirect_uris", "post_logout_redirect_uris", "backchannel_logout_uri"),
    *("token_endpoint_auth_method", "grant_types", "response_types", "scope", "jwks", "jwks_uri"),
    *("client_uri", "policy_uri", "tos_uri", "subject_type", "dpop_bound_access_tokens", "x\0"),
)
METHODS = ("POST", "POST", "POST", "POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS")
KINDS = (*(FORM,) * 6, f"{FORM}; charset=utf-7", "application/json", "multipart/form-data", "")


@pytest.fixture
def plausible(settings):
    """A function that makes the parameters of requests that succeed."""
    set_up(settings, limits_scale=1_000_000)
    app, session = new_app(logout_uris=[WEB]), browser_of(make_user("alice"))
    given = app.sign_in(session)
    grants = deque(("authorization_code", "refresh_token"))

    def make():
        grants.rotate()
        return {
            "client_id": app.client.pk,
            "client_secret": app.secret,
            "grant_type": grants[0],
            "code": app.code(session, EVERYTHING),
            "code_verifier": VERIFIER,
            "redirect_uri": WEB,
            "refresh_token": given["refresh_token"],
            "token": given["access_token"],
            "id_token_hint": given["id_token"],
            "post_logout_redirect_uri": WEB,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": "a" * 43,
            "code_challenge_method": "S256",
        }

    with connection.execute_wrapper(storable):
        yield make


def mutated(dice, sent):
    """Return the parameters with some left out, replaced, added or repeated."""
    pairs = [pair for pair in sent.items() if dice.random() > 0.1]
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        pairs.append((dice.choice(NAMES), dice.choice((*JUNK, *sent.values()))))
    if dice.random() < 0.5:
        pairs = list(dict(pairs).items())
    return pairs


def metadata(dice):
    """Return the metadata of an app with some members replaced or added, as JSON."""
    values = (None, True, 1, {}, *JUNK, *([junk] for junk in JUNK))
    count = dice.choice((0, 1, 1, 2, 5))
    return json.dumps(VALID | {dice.choice(MEMBERS): dice.choice(values) for _ in range(count)})


def authorization(dice, sent):
    junk = quote_plus(dice.choice(JUNK))
    pairs = ((sent["client_id"], sent["client_secret"]), (junk, junk), (sent["client_id"], junk))
    headers = ["", *(basic(*pair) for pair in pairs), f"Bearer {sent['token']}", "Basic", "Basic é"]
    chosen = dice.choice(headers)
    return {"Authorization": chosen} if chosen else {}


@pytest.mark.parametrize("count", [25, pytest.param(2000, marks=pytest.mark.proof)])
@pytest.mark.parametrize("path", ENDPOINTS)
def test_no_request_to_an_endpoint_for_apps_causes_a_server_error(plausible, path, count):
    """Withstands a hostile client.

    An unexpected exception in a view fails the test, too: the test client raises it.
    """
    dice = random.Random(f"{path} {count}")  # noqa: S311 must be repeatable
    browsers = [Browser(), signed_in(make_user("bob"))]
    statuses, registration = set(), {"Authorization": f"Bearer {new_token(1000)}"}

    for _ in range(count):
        sent = plausible()
        body = urlencode(mutated(dice, sent))
        if dice.random() < 0.1:
            body = "".join(dice.choice("%&=+;a\x7f~") for _ in range(40))
        method, url = dice.choice(METHODS), path
        if method in {"GET", "HEAD"} or dice.random() < 0.05:
            url = f"{path}?{body}"
        kind, headers = dice.choice(KINDS), authorization(dice, sent)
        if path == REGISTER and dice.random() < 0.7:
            body, kind, headers = metadata(dice), "application/json", registration
        browser = dice.choice(browsers)
        answer = browser.generic(method, url, body, content_type=kind, headers=headers)
        assert answer.status_code < 500, (method, url, body)
        statuses.add(answer.status_code)
        to = answer.get("Location", "/")
        assert to.startswith(("/", WEB)), (method, url, body)
        if to.startswith("/oauth/continue/"):
            assert browser.get(to).status_code < 500, (method, url, body)

    assert len(statuses) >= 2, "all requests were refused for the same reason"
    assert path != REGISTER or {201, 400, 401} <= statuses

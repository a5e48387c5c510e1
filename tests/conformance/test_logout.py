"""The plans RP-Initiated OP and Back-Channel OP."""

from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from tests.support.api import claims_of
from tests.support.authorize import target
from tests.support.conformance import module, modules
from tests.support.forgeries import by_hmac, join, unsigned
from tests.support.logout import send_all
from tests.support.oauth_client import set_client

pytestmark = pytest.mark.proof
LOGOUT, BYE = "/oauth/logout", "https://paperless.example.org/bye"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
def app(rp):
    set_client(rp.app, logout_uris=[BYE])
    return rp


def sign_out(rp, signed_in, **changes):
    """Send the browser to the end_session_endpoint; return the last answer."""
    sent = {
        "id_token_hint": signed_in.tokens["id_token"],
        "post_logout_redirect_uri": BYE,
        "state": "s" * 128,
    } | changes
    sent = {name: value for name, value in sent.items() if value is not None}
    return rp.visit(rp.browser.get(LOGOUT, sent))


def press(rp, page):
    """Press "Sign out" on the page that asks, and return the answer."""
    assert "Stay signed in" in page.text
    return rp.browser.post(page.wsgi_request.get_full_path(), {"csrfmiddlewaretoken": "any"})


def is_signed_out(rp):
    asked = rp.request(prompt="none")
    answer = rp.open(asked)
    return "error=" in target(answer) and rp.error(answer, asked) == "login_required"


@modules(
    {
        "oidcc-rp-initiated-logout-discovery-endpoint-verification": (),
        "oidcc-backchannel-logout-discovery-endpoint-verification": (
            "backchannel_logout_supported",
            "backchannel_logout_session_supported",
        ),
    }
)
def test_the_metadata_have_the_endpoint(rp, module, case):
    assert rp.server["end_session_endpoint"] == f"https://accounts.example.org{LOGOUT}"
    assert all(rp.server[name] is True for name in case)


@modules({"oidcc-rp-initiated-logout": "s" * 128, "oidcc-rp-initiated-logout-no-state": None})
def test_the_browser_is_signed_out_and_led_back(app, module, case):
    place = urlsplit(target(sign_out(app, app.sign_in(), state=case)))

    assert f"{place.scheme}://{place.netloc}{place.path}" == BYE
    assert dict(parse_qsl(place.query)) == ({"state": case} if case else {})
    assert is_signed_out(app)


@modules(
    {
        "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": {
            "post_logout_redirect_uri": "https://paperless.example.org/bad"
        },
        "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": {
            "post_logout_redirect_uri": f"{BYE}?foo=bar"
        },
        "oidcc-rp-initiated-logout-modified-id-token-hint": {"id_token_hint": unsigned},
        "oidcc-rp-initiated-logout-bad-id-token-hint": {"id_token_hint": by_hmac(b"secret")},
        "oidcc-rp-initiated-logout-no-id-token-hint": {"id_token_hint": None},
    }
)
def test_a_request_that_is_partly_wrong_asks_the_person_and_leads_nowhere(app, module, case):
    signed_in = app.sign_in()
    if callable(sign := case.get("id_token_hint")):
        head = {"alg": "none" if sign is unsigned else "HS256"}
        case = {"id_token_hint": join(head, claims_of(signed_in.tokens["id_token"]), sign)}

    page = sign_out(app, signed_in, **case)

    assert not is_signed_out(app)
    assert target(press(app, page)) == ""
    assert is_signed_out(app)


@modules(
    {
        "oidcc-rp-initiated-logout-no-params": dict.fromkeys(
            ("id_token_hint", "post_logout_redirect_uri", "state")
        ),
        "oidcc-rp-initiated-logout-only-state": dict.fromkeys(
            ("id_token_hint", "post_logout_redirect_uri")
        ),
        "oidcc-rp-initiated-logout-no-post-logout-redirect-uri": {"post_logout_redirect_uri": None},
    }
)
def test_without_a_place_to_return_to_the_browser_is_signed_out_here(app, module, case):
    page = sign_out(app, app.sign_in(), **case)
    if "id_token_hint" in case:  # anybody can make a link without a hint
        page = press(app, page)

    assert ("You’re signed out" in page.text, target(page)) == (True, "")
    assert is_signed_out(app)


@module("oidcc-backchannel-rp-initiated-logout")
def test_the_app_gets_a_logout_token_and_the_browser_comes_back(app, receiver, module):
    set_client(app.app, backchannel_logout_uri=receiver.url(), backchannel_logout_is_private=True)
    signed_in = app.sign_in()

    assert target(sign_out(app, signed_in)).startswith(f"{BYE}?state=")

    send_all()
    [token] = receiver.tokens()
    claims = app.id_token(token, None)
    same = ("iss", "aud", "sub", "sid")
    assert [claims[name] for name in same] == [signed_in.claims[name] for name in same]
    assert (claims["events"], "nonce" in claims) == ({EVENT: {}}, False)
    assert claims["jti"]
    assert jwt.get_unverified_header(token)["typ"] == "logout+jwt"
    assert is_signed_out(app)

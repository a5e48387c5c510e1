"""A site with ``STRICT=on``."""

import pytest

from tests.support.api import call
from tests.support.apps import make_app
from tests.support.signin import set_up
from tests.support.site import CHEAP_HASHES, Site
from tests.support.standards import proves

SHORT, LONG = "seven ferries!", "seven ferries!!"


@pytest.fixture(scope="module")
def site():
    with Site(STRICT="on", **CHEAP_HASHES) as site:
        yield site


@proves("V6.3.6", "63B-3.1.3.1")
def test_emailed_codes_neither_sign_in_nor_are_they_offered(site):
    client = site.client()
    page = client.get("/accounts/login/")

    assert (page.status, "Email me a code" in page.text) == (200, False)
    assert client.get("/accounts/login/code/").status == 404
    for path in ("login/code/", "login/code/confirm/", "session/code/"):
        assert client.request("POST", f"/api/v1/{path}").status == 404
    assert call("config/", client=client)["factors"] == ["passkey", "totp", "recovery_code"]


@proves("V6.2.1", "63B-3.1.1.2-a")
def test_a_new_password_has_fifteen_characters(site):
    assert "At least 15 characters" in site.client().get("/accounts/signup/").text
    person = {"username": "alice", "email": "alice@example.org"}
    short = call("users/", person | {"password": SHORT}, client=site.client())
    long = call("users/", person | {"password": LONG}, client=site.client())

    assert (short.status, long.status) == (400, 201)


@proves("V10.3.5")
@pytest.mark.parametrize("scope, must", [("openid read", False), ("openid keys:write", True)])
def test_an_app_that_may_change_something_must_bind_its_tokens(scope, must, db, settings):
    """Withstands a malicious app: STRICT is evaded."""
    app = make_app(scope=scope)
    assert not app.must_use_dpop

    set_up(settings, strict="on")
    assert app.must_use_dpop == must

"""The token endpoint: what an app gets for a code and for a refresh token."""

from typing import Any

import jwt
import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from accounts.common.proofs import Method
from accounts.oauth.models import AuthorizationCode
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring
from tests.support.api import claims_of
from tests.support.oauth_client import EVERYTHING, browser_of, new_app
from tests.support.signin import set_up
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db):
    return make_user("alice", display_name="Alice", language="de", time_zone="Europe/Berlin")


@pytest.fixture
def app(db):
    return new_app()


def verified(app, text):
    """Verify an ID token with the published keys, as the app does."""
    published = app.browser.get("/.well-known/jwks.json").json()
    kid = jwt.get_unverified_header(text)["kid"]
    (key,) = [key for key in published["keys"] if key["kid"] == kid]
    claims: dict[str, Any] = jwt.decode(
        text,
        jwt.PyJWK(key).key,
        algorithms=[key["alg"]],
        audience=app.client.pk,
        options={"verify_iat": False},  # by the real clock
    )
    return claims


def test_a_code_gives_an_access_token_of_its_own_session(app, alice):
    browser = browser_of(alice)

    answer = app.sign_in(browser, "openid profile email")

    claims = claims_of(answer["access_token"])
    assert answer.body.keys() == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 300)
    assert answer["scope"] == claims["scope"] == "email openid profile"
    assert (claims["client_id"], claims["sub"]) == (app.client.pk, str(alice.pk))
    session = LoginSession.objects.get(pk=claims["sid"])
    assert session.kind == LoginSession.Kind.CONNECTED
    assert session.app_session.parent == browser
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_id_token_tells_the_app_who_signed_in_and_how(app, alice, clock):
    alice.groups.add(Group.objects.create(name="Editors"))
    browser = browser_of(alice, Method.PASSWORD, Method.TOTP)
    clock.advance(minutes=2)

    answer = app.sign_in(browser, EVERYTHING, nonce="n-1")

    now = int(clock.now().timestamp())
    assert jwt.get_unverified_header(answer["id_token"]) == {
        "typ": "JWT",
        "alg": "RS256",
        "kid": keyring.signer("RS256").kid,
    }
    assert verified(app, answer["id_token"]) == {
        "iss": "http://localhost:8000",
        "sub": str(alice.pk),
        "aud": app.client.pk,
        "iat": now,
        "exp": now + 300,
        "auth_time": now - 120,
        "nonce": "n-1",
        "amr": ["pwd", "otp"],
        "acr": "aal2",
        "sid": claims_of(answer["access_token"])["sid"],
        "preferred_username": "alice",
        "name": "Alice",
        "locale": "de",
        "zoneinfo": "Europe/Berlin",
        "updated_at": now - 120,
        "email": "alice@example.org",
        "email_verified": True,
        "groups": ["Editors"],
    }


def test_an_id_token_has_only_the_claims_of_its_scopes(app, alice):
    few = verified(app, app.sign_in(browser_of(alice), "openid")["id_token"])
    none = app.sign_in(browser_of(alice), "profile")

    assert few.keys() == {"iss", "sub", "aud", "iat", "exp", "auth_time", "amr", "acr", "sid"}
    assert "id_token" not in none.body


def test_an_id_token_with_too_many_groups_says_that_they_are_missing(app, alice):
    alice.groups.set([Group.objects.create(name=f"{n:0100}") for n in range(60)])

    claims = verified(app, app.sign_in(browser_of(alice))["id_token"])

    assert (claims["groups_omitted"], "groups" in claims) == (True, False)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_the_operator_chooses_how_id_tokens_are_signed_and_how_long_they_are_valid(
    app, alice, settings, algorithm
):
    set_up(settings, id_token_algorithm=algorithm, id_token_seconds=600)

    text = app.sign_in(browser_of(alice))["id_token"]

    claims = verified(app, text)
    assert jwt.get_unverified_header(text)["alg"] == algorithm
    assert claims["exp"] - claims["iat"] == 600


def test_only_offline_access_gives_a_refresh_token(app, alice):
    browser = browser_of(alice)

    assert "refresh_token" not in app.sign_in(browser, "openid").body
    first = app.sign_in(browser, "openid offline_access")
    second = app.refresh(first["refresh_token"])

    assert second.status == 200
    assert second.body.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "refresh_token",
    }
    assert claims_of(second["access_token"])["sid"] == claims_of(first["access_token"])["sid"]
    assert second["refresh_token"] != first["refresh_token"]


def test_a_refresh_can_ask_for_fewer_scopes_and_later_for_all_again(app, alice):
    first = app.sign_in(browser_of(alice))

    fewer = app.refresh(first["refresh_token"], scope="openid email")
    all_again = app.refresh(fewer["refresh_token"])

    assert fewer["scope"] == "email openid"
    assert all_again["scope"] == first["scope"]


def test_codes_that_have_expired_are_deleted(app, alice, clock):
    app.code(browser_of(alice))
    clock.advance(seconds=60)

    call_command("prune")

    assert not AuthorizationCode.objects.exists()

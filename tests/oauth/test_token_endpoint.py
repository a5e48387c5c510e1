"""The token endpoint, what an app gets there, and the metadata that describes the endpoints."""

from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import resolve

from accounts.activity.services import Actor
from accounts.common.proofs import Method
from accounts.emails import services as emails
from accounts.oauth import logout
from accounts.oauth.clients.metadata import DEVICE
from accounts.oauth.id_tokens import claims_of as told
from accounts.oauth.models import AuthorizationCode
from accounts.profile import services as profiles
from accounts.sessions.models import LoginSession
from accounts.tokens import keyring
from accounts.users import services as users
from accounts.users.models import User
from tests.support.api import claims_of
from tests.support.apps import OAUTH, OPENID, document
from tests.support.oauth_client import EVERYTHING, browser_of, new_app, set_client
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import make_staff, make_user, sign_in


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

    claims = verified(app, app.sign_in(browser_of(alice), "openid", nonce="n" * 8000)["id_token"])
    assert "groups_omitted" not in claims


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_the_operator_chooses_how_id_tokens_are_signed_and_how_long_they_are_valid(
    app, alice, settings, algorithm
):
    set_up(settings, id_token_algorithm=algorithm, id_token_seconds=600)

    text = app.sign_in(browser_of(alice))["id_token"]

    claims = verified(app, text)
    assert jwt.get_unverified_header(text)["alg"] == algorithm
    assert claims["exp"] - claims["iat"] == 600


def test_an_app_can_have_its_id_tokens_and_logout_tokens_signed_with_es256(app, alice):
    browser, other = browser_of(alice), new_app("Bank", id_token_algorithm="ES256")

    given = [own.sign_in(browser) for own in (app, other)]
    later = other.refresh(given[1]["refresh_token"])

    heads = [jwt.get_unverified_header(tokens["id_token"]) for tokens in (*given, later)]
    assert [head["alg"] for head in heads] == ["RS256", "ES256", "ES256"]
    assert verified(other, later["id_token"])["aud"] == other.client.pk
    told = logout.issue(browser.pk, alice.pk, other.client)
    assert jwt.get_unverified_header(told)["alg"] == "ES256"


def test_only_offline_access_gives_a_refresh_token_which_can_ask_for_fewer_scopes(app, alice):
    browser = browser_of(alice)

    assert "refresh_token" not in app.sign_in(browser, "openid").body
    first = app.sign_in(browser, "openid email offline_access")
    second = app.refresh(first["refresh_token"], scope="openid email")
    all_again = app.refresh(second["refresh_token"])

    assert (second["scope"], all_again["scope"]) == ("email openid", first["scope"])
    assert claims_of(second["access_token"])["sid"] == claims_of(first["access_token"])["sid"]
    assert second["refresh_token"] != first["refresh_token"]


def test_a_refresh_gives_an_id_token_without_nonce_of_the_same_sign_in(app, alice, clock):
    first = app.sign_in(browser_of(alice), nonce="n-1")
    User.objects.filter(pk=alice.pk).update(username="alicia")
    clock.advance(minutes=5)

    second = app.refresh(first["refresh_token"])

    before, after = (verified(app, given["id_token"]) for given in (first, second))
    assert {name for name in before if before[name] != after.get(name)} == {
        *("nonce", "iat", "exp", "preferred_username")
    }
    assert (after["iat"] - before["iat"], "nonce" in after) == (300, False)
    # A repeated request gets one, too.
    assert "id_token" in app.refresh(first["refresh_token"]).body
    without = app.refresh(second["refresh_token"], scope="email offline_access")
    assert "id_token" not in without.body
    set_client(app, renews_id_token=False)
    assert "id_token" not in app.refresh(without["refresh_token"]).body


def test_codes_that_have_expired_are_deleted(app, alice, clock):
    app.code(browser_of(alice))
    clock.advance(seconds=60)

    call_command("prune")

    assert not AuthorizationCode.objects.exists()


ACTOR = Actor()
SECOND = "alice@work.example"


def as_now(user):
    return User.objects.get(pk=user.pk)


def updated_at(user):
    """Return the claim, as an app gets it with the scope ``profile``."""
    moment: int = told(as_now(user), ["profile"])["updated_at"]
    return moment


def add_a_primary_email(user):
    users.confirm_email(user, SECOND)
    emails.make_primary(user, user.emails.get(email=SECOND).pk, ACTOR)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: profiles.rename(user, "alicia", ACTOR),
        lambda user: profiles.save(user, {"display_name": "Alicia"}, ACTOR),
        lambda user: profiles.save(user, {"family_name": "Liddell"}, ACTOR),
        lambda user: profiles.save(user, {"language": "en"}, ACTOR),
        lambda user: profiles.save(user, {"time_zone": "Europe/Rome"}, ACTOR),
        add_a_primary_email,
    ],
    ids=[
        "username",
        "display name",
        "family name",
        "language",
        "time zone",
        "primary email address",
    ],
)
def test_the_claim_moves_with_what_apps_are_told(clock, alice, change):
    before = updated_at(alice)
    clock.advance(minutes=1)

    change(as_now(alice))

    assert updated_at(alice) == before + 60


def test_the_claim_moves_with_the_groups(clock, alice, client):
    carol = signed_in(make_staff("carol"), client)
    editors, before = Group.objects.create(name="Editors"), updated_at(alice)
    group = f"/admin/auth/group/{editors.pk}"
    acts = (
        (f"/admin/accounts/user/{alice.pk}/change/", {"groups": editors.pk}),
        (f"{group}/change/", {"name": "Writers"}),
        (f"{group}/delete/", {"post": "yes"}),
    )

    for minutes, (page, form) in enumerate(acts, 1):
        clock.advance(minutes=1)
        assert carol.post(page, form | {"reason": "moved"}).status_code == 302
        assert updated_at(alice) == before + 60 * minutes, page


def test_a_sign_in_and_what_apps_are_not_told_leave_the_claim(clock, alice, client):
    before = updated_at(alice)
    clock.advance(minutes=1)

    assert sign_in(client, "alice").status_code == 302
    profiles.save(as_now(alice), {"about": "I like printers."}, ACTOR)

    assert as_now(alice).last_login == clock.now()
    assert updated_at(alice) == before


def test_a_claim_without_a_value_is_missing(alice):
    User.objects.filter(pk=alice.pk).update(language="", email="", given_name="Alice")

    assert told(as_now(alice), ["profile"])["given_name"] == "Alice"
    found = told(as_now(alice), ["profile", "email"]).keys()
    assert found.isdisjoint({"locale", "email", "email_verified", "family_name"})


RESOURCE, JWKS = "/.well-known/oauth-protected-resource", "/.well-known/jwks.json"
ORIGIN = "http://localhost:8000"
SCRIPT = {"Origin": "https://spa.example"}


def test_both_documents_of_the_provider_name_the_issuer_and_urls_that_exist():
    found = document()

    assert found == document(OAUTH)
    assert found["issuer"] == ORIGIN
    urls = [found[name] for name in found if name.endswith(("_endpoint", "_uri"))]
    assert len(urls) == 10
    for url in urls:
        assert url.startswith(f"{ORIGIN}/")
        assert resolve(urlsplit(url).path)


@proves("RFC9700-2.4", "RFC9700-2.6-a")
def test_the_document_lists_exactly_what_the_endpoints_do(app, alice, settings):
    alice.groups.create(name="Editors")
    known = {"given_name": "Alice", "family_name": "Liddell", "language": "de"}
    User.objects.filter(pk=alice.pk).update(**known)
    alice.refresh_from_db()
    given, found = app.sign_in(browser_of(alice), EVERYTHING, nonce="n"), document()

    assert set(claims_of(given["id_token"])) == set(found["claims_supported"])
    for grant in ("authorization_code", "refresh_token", DEVICE, "password", "implicit"):
        is_known = app.post("/oauth/token", grant_type=grant).error != "unsupported_grant_type"
        assert is_known == (grant in found["grant_types_supported"])
    assert found["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
    set_up(settings, id_token_algorithm="ES256")
    assert document()["id_token_signing_alg_values_supported"] == ["ES256"]


def test_the_api_of_this_site_is_a_protected_resource_of_this_provider():
    found = document(RESOURCE)

    assert (found["resource"], found["authorization_servers"]) == (ORIGIN, [ORIGIN])
    assert set(found["scopes_supported"]) < set(document()["scopes_supported"])


@pytest.mark.parametrize(
    "path",
    [
        *("/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/oauth/register"),
        *(OPENID, OAUTH, RESOURCE, JWKS),
    ],
)
def test_scripts_of_every_site_may_call_the_endpoints_without_cookies(path):
    asks = {"Method": "POST", "Headers": "authorization"}
    asks = {f"Access-Control-Request-{name}": value for name, value in asks.items()}

    before = Browser().options(path, headers=SCRIPT | asks)
    answers = [Browser().get(path, headers=SCRIPT), Browser().post(path, headers=SCRIPT)]

    assert before.status_code == 204
    assert before["Access-Control-Allow-Headers"] == "authorization, content-type, dpop"
    for answer in (before, *answers):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "dpop-nonce" in answers[1]["Access-Control-Expose-Headers"]


@proves("RFC9700-2.6-b")
def test_scripts_of_other_sites_may_read_nothing_else():
    for path in ("/oauth/introspect", "/oauth/authorize", "/", "/api/v1/me/", "/oauth/token/"):
        answer = Browser().get(path, headers=SCRIPT)
        assert "Access-Control-Allow-Origin" not in answer.headers

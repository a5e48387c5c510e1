"""The exact requests to Google, GitHub, Facebook and X, and the accounts that result."""

import base64
import hmac
import logging
from hashlib import sha256
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from accounts.users.models import Identity, User
from tests.support import doubles as shapes
from tests.support.doubles import CLIENT_ID, CODE, DOCUMENTED, SECRET, TOKEN, Documented, Doubles
from tests.support.signin import signed_in
from tests.support.social import come_back, go
from tests.support.steps import is_signed_in, make_user
from tests.support.stored import everything_stored

pytestmark = pytest.mark.django_db
each = pytest.mark.parametrize("of", DOCUMENTED, ids=lambda of: of.key)


def challenge_of(verifier: str) -> str:
    """Return the PKCE code challenge for a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def back_to(of: Documented) -> str:
    return f"{settings.AUTHSITE.origin}/accounts/{of.key}/login/callback/"


@each
@pytest.mark.parametrize("act", ["sign-in", "connect", "prove"])
def test_the_authorization_request_has_exactly_the_documented_parameters(
    of: Documented, act: str, doubles: Doubles
) -> None:
    client = Client() if act == "sign-in" else signed_in(make_user("alice"))
    # The redirect URI has the origin, although the client's Host is "testserver".
    url = urlsplit(go(client, of.key, act=act))
    sent = parse_qsl(url.query, keep_blank_values=True)
    query = dict(sent)
    new = [query.pop(name) for name in ("state", "code_challenge", "nonce") if name in query]
    scope = query.pop("scope").replace(",", " ").split()

    assert f"{url.scheme}://{url.netloc}{url.path}" == of.authorize
    assert sorted(scope) == sorted(of.scope)
    assert query == {
        "client_id": CLIENT_ID,
        "redirect_uri": back_to(of),
        "response_type": "code",
        "code_challenge_method": "S256",
        **of.asks.get(act, {}),
    }
    assert len(new) == 2 + (of.key == "google")
    assert all(len(secret) >= 43 for secret in new)
    assert len(sent) == len(dict(sent)), "no parameter occurs twice"
    assert {request.url for request in doubles.requests} <= {shapes.DISCOVERY}


@each
def test_the_code_is_exchanged_as_documented_with_the_pkce_verifier_of_this_attempt(
    of: Documented, doubles: Doubles
) -> None:
    client = Client()
    url = go(client, of.key)
    come_back(client, doubles.send_back(url), of.key)
    asked = doubles.asked(of.token)
    # Facebook documents a GET request only.
    method = "GET" if of.key == "facebook" else "POST"
    fields, nothing = (asked.form, asked.query)[:: -1 if method == "GET" else 1]
    verifier = fields.pop("code_verifier")

    assert (asked.method, nothing) == (method, {})
    assert challenge_of(verifier) == dict(parse_qsl(urlsplit(url).query))["code_challenge"]
    basic = base64.b64encode(f"{CLIENT_ID}:{quote_plus(SECRET)}".encode()).decode()
    assert asked.headers.get("Authorization") == (f"Basic {basic}" if of.is_basic else None)
    assert fields == {
        "grant_type": "authorization_code",
        "code": CODE,
        "redirect_uri": back_to(of),
        **({} if of.is_basic else {"client_id": CLIENT_ID, "client_secret": SECRET}),
    }
    # Without this header, GitHub sends a form-encoded answer.
    assert asked.headers["Accept"] == "application/json"


@each
def test_profile_requests_send_the_token_only_to_the_documented_urls(
    of: Documented, doubles: Doubles
) -> None:
    doubles.round_trip(Client(), of.key)
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), sha256).hexdigest()
    fields = {
        # developers.facebook.com/docs/graph-api/guides/secure-requests, "appsecret_proof"
        shapes.FACEBOOK_PERSON: {
            "fields": "id,name,email",
            "access_token": TOKEN,
            "appsecret_proof": proof,
        },
        shapes.X_PERSON: {"user.fields": "id,name,username"},
    }
    # Google's keys and discovery document were not cached yet.
    expected = {of.token, *of.about} | ({shapes.DISCOVERY} if of.key == "google" else set())
    assert {request.url for request in doubles.requests} == expected
    for url in of.about:
        asked = doubles.asked(url)
        assert (asked.method, asked.form, asked.query) == ("GET", {}, fields.get(url, {}))
        authorization = "" if url == shapes.GOOGLE_KEYS else of.authorization
        assert asked.headers.get("Authorization", "") == authorization


@each
def test_8_3_the_first_sign_in_makes_an_account_and_the_second_finds_it_by_its_subject(
    of: Documented, doubles: Doubles
) -> None:
    first, second = Client(), Client()
    assert doubles.round_trip(first, of.key).url == "/"
    person = doubles.answers[of.about[-1] if of.key != "github" else shapes.GITHUB_PERSON]
    person.get("data", person).update(name="Mallory", login="mallory", username="mallory")
    assert doubles.round_trip(second, of.key).url == "/"

    user, identity = User.objects.get(), Identity.objects.get()
    assert is_signed_in(first)
    assert is_signed_in(second)
    assert (user.username.lower(), user.display_name) == ("alice", "Alice")
    assert user.email == ("alice@example.org" if of.verifies else "")
    assert not user.has_usable_password()
    assert (identity.issuer, identity.subject) == (of.issuer, of.subject)


@each
def test_no_provider_secret_is_stored_shown_or_logged(
    of: Documented, doubles: Doubles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = Client()
    url = go(client, of.key)
    answer = come_back(client, doubles.send_back(url), of.key)
    asked = doubles.asked(of.token)
    verifier = (asked.query | asked.form)["code_verifier"]
    query = dict(parse_qsl(urlsplit(url).query))
    secrets = [CODE, TOKEN, SECRET, verifier, query["state"], query.get("nonce", TOKEN), "eyJ"]
    pages = "".join(client.get(page).text for page in ("/", "/accounts/3rdparty/"))
    kept = everything_stored().decode() + pages + str(client.cookies) + caplog.text
    kept += str(dict(client.session)) + str(answer.headers)

    assert [secret for secret in secrets if secret in kept] == []


@each
def test_8_2_a_refused_authorization_leads_back_with_a_message_and_creates_no_account(
    of: Documented, doubles: Doubles
) -> None:
    client = Client()
    answer = doubles.send_back(go(client, of.key)) | {"error": "access_denied"}
    del answer["code"]
    answer = come_back(client, answer, of.key)

    assert answer.url == "/accounts/login/"
    assert "Nothing has changed here." in client.get(answer.url).text
    assert not User.objects.exists()

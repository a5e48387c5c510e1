"""Sign-in with other providers."""

import base64
import hmac
import logging
import re
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from certifi import where
from django.conf import settings
from django.test import Client

from accounts.common import http_client
from accounts.users.models import Identity, User
from tests.support import doubles as shapes
from tests.support.doubles import (
    CLIENT_ID,
    CODE,
    CREDENTIALS,
    DOCUMENTED,
    MAIL,
    SECRET,
    TOKEN,
    Answer,
)
from tests.support.signin import signed_in
from tests.support.social import come_back, configured, go
from tests.support.standards import proves
from tests.support.steps import is_signed_in, make_user
from tests.support.stored import everything_stored

each = pytest.mark.parametrize("of", DOCUMENTED, ids=lambda of: of.key)


def challenge_of(verifier):
    """Return the PKCE code challenge for a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def back_to(of):
    return f"{settings.AUTHSITE.origin}/accounts/{of.key}/login/callback/"


@proves("V10.2.3")
@each
@pytest.mark.parametrize("act", ["sign-in", "connect", "prove"])
def test_the_authorization_request_has_exactly_the_documented_parameters(of, act, doubles):
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
        **({"code_challenge_method": "S256"} if of.has_pkce else {}),
        **of.asks.get(act, {}),
    }
    assert len(new) == 1 + of.has_pkce + bool(of.discovery)
    assert all(len(secret) >= 43 for secret in new)
    assert len(sent) == len(dict(sent)), "no parameter occurs twice"
    assert {request.url for request in doubles.requests} <= {of.discovery}


@proves("V10.2.1")
@each
def test_the_code_is_exchanged_as_documented_with_the_pkce_verifier_of_this_attempt(of, doubles):
    client = Client()
    url = go(client, of.key)
    come_back(client, doubles.send_back(url), of.key)
    asked = doubles.asked(of.token)
    # Facebook documents a GET request only.
    method = "GET" if of.key == "facebook" else "POST"
    fields, nothing = (asked.form, asked.query)[:: -1 if method == "GET" else 1]
    verifier, secret = fields.pop("code_verifier", ""), fields.pop("client_secret", "")

    assert (asked.method, nothing) == (method, {})
    challenge = dict(parse_qsl(urlsplit(url).query)).get("code_challenge", challenge_of(""))
    assert (challenge_of(verifier), bool(verifier)) == (challenge, of.has_pkce)
    basic = base64.b64encode(f"{CLIENT_ID}:{quote_plus(SECRET)}".encode()).decode()
    assert asked.headers.get("Authorization") == (f"Basic {basic}" if of.is_basic else None)
    assert fields == {
        "grant_type": "authorization_code",
        "code": CODE,
        "redirect_uri": back_to(of),
        **({} if of.is_basic else {"client_id": CLIENT_ID}),
    }
    assert of.is_basic or of.key == "apple" or secret == SECRET
    # Without this header, GitHub sends a form-encoded answer.
    assert asked.headers["Accept"] == "application/json"


@each
def test_profile_requests_send_the_token_only_to_the_documented_urls(of, doubles):
    doubles.round_trip(Client(), of.key)
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), sha256).hexdigest()
    fields = {
        # developers.facebook.com/docs/graph-api/guides/secure-requests, "appsecret_proof"
        shapes.FACEBOOK_PERSON: {"access_token": TOKEN, "appsecret_proof": proof}
        | {"fields": "id,name,email"},
        shapes.X_PERSON: {"user.fields": "id,name,username"},
    }
    # The keys and the discovery document were not cached yet.
    expected = {of.token, *of.about} | ({of.discovery} if of.discovery else set())
    assert {request.url for request in doubles.requests} == expected
    for url in of.about:
        asked = doubles.asked(url)
        assert (asked.method, asked.form, asked.query) == ("GET", {}, fields.get(url, {}))
        authorization = "" if url in shapes.KEYS else of.authorization
        assert asked.headers.get("Authorization", "") == authorization


@each
def test_8_3_the_first_sign_in_makes_an_account_and_the_second_finds_it_by_its_subject(of, doubles):
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


@proves("V10.1.1")
@each
def test_no_provider_secret_is_stored_shown_or_logged(of, doubles, caplog):
    """Withstands a thief with the database."""
    caplog.set_level(logging.INFO)
    client = Client()
    url = go(client, of.key)
    answer = come_back(client, doubles.send_back(url), of.key)
    asked = doubles.asked(of.token)
    verifier = (asked.query | asked.form).get("code_verifier", TOKEN)
    query = dict(parse_qsl(urlsplit(url).query))
    # How each JWT of the providers begins.
    jwt = "eyJhbGciOi"
    secrets = [CODE, TOKEN, SECRET, verifier, query["state"], query.get("nonce", TOKEN), jwt]
    pages = "".join(client.get(page).text for page in ("/", "/accounts/3rdparty/"))
    kept = everything_stored().decode() + pages + str(client.cookies) + caplog.text
    kept += str(dict(client.session)) + str(answer.headers)

    assert [secret for secret in secrets if secret in kept] == []


PROFILE = shapes.ANSWERS[shapes.GITHUB_PERSON]
UNVERIFIED, OTHER = MAIL | {"verified": False}, MAIL | {"primary": False}

# developers.google.com/identity/gsi/web/guides/verify-google-id-token: Google is authoritative for
# gmail.com and for verified emails of a Workspace (hd). Others may have a new owner meanwhile.
GOOGLES = {
    "of a workspace": ({}, True),
    "gmail": ({"hd": None, "email": "Alice@Gmail.com"}, True),
    "elsewhere": ({"hd": None}, False),
    "hd is no word": ({"hd": True}, False),
    "unverified": ({"email_verified": False}, False),
    "a word": ({"email_verified": "true"}, False),
    "another's end": ({"hd": None, "email": "alice@gmail.com.example.org"}, False),
}


@pytest.mark.parametrize("claims, counts", GOOGLES.values(), ids=GOOGLES)
def test_google_emails_count_as_verified_only_for_gmail_and_workspace_domains(
    claims, counts, doubles
):
    doubles.claims = claims
    assert doubles.round_trip(Client(), "google").url == "/"

    email = claims.get("email", "alice@example.org")
    assert User.objects.get().email.lower() == (email.lower() if counts else "")


def test_the_google_issuer_is_accepted_with_and_without_https(doubles):
    # Google sent ``iss`` to the redirect URI before its discovery document announced that.
    del doubles.answers[shapes.DISCOVERY]["authorization_response_iss_parameter_supported"]
    for issuer in (shapes.GOOGLE, "accounts.google.com"):
        doubles.claims = {"iss": issuer}
        assert doubles.round_trip(Client(), "google").url == "/"

    assert Identity.objects.get().issuer == shapes.GOOGLE
    doubles.claims = {"iss": "https://accounts.google.com.example.org"}
    assert doubles.round_trip(Client(), "google").status_code == 400


# The provider, and the answers that differ from the documented ones.
UNBELIEVED = {
    "facebook": ("facebook", {}),
    "facebook without": ("facebook", {shapes.FACEBOOK_PERSON: {"id": "1", "name": "Bob"}}),
    "x": ("twitter_oauth2", {}),
    "github unverified": ("github", {shapes.GITHUB_MAILS: [UNVERIFIED]}),
    "github not the primary": ("github", {shapes.GITHUB_MAILS: [OTHER]}),
    "github a word": ("github", {shapes.GITHUB_MAILS: [MAIL | {"verified": "yes"}]}),
    "github none": ("github", {shapes.GITHUB_MAILS: []}),
    # Documented: "404 Resource not found".
    "github not found": (
        "github",
        {
            shapes.GITHUB_MAILS: Answer({"message": "Not Found"}, 404),
            shapes.GITHUB_PERSON: PROFILE | {"email": "alice@example.org"},
        },
    ),
}


@pytest.mark.parametrize("provider, answers", UNBELIEVED.values(), ids=UNBELIEVED)
def test_an_unverified_email_neither_finds_an_account_nor_is_stored(provider, answers, doubles):
    """Withstands a malicious server."""
    alice = make_user("alice")
    doubles.answers |= answers
    assert doubles.round_trip(Client(), provider).url == "/"

    new = User.objects.exclude(pk=alice.pk).get()
    assert (new.email, list(new.emails.all())) == ("", [])
    assert Identity.objects.get().user == new


NAMES = {
    "emoji": ("\U0001f980", "Bob \U0001f980", "Bob", "Bob \U0001f980"),
    "200 characters": ("b" * 200, "n" * 200, "b" * 23, "n" * 60),
    "none": (None, None, "user", ""),
    "what can't be seen": ("b\u202eob\0", "Bo\u202eb\n", "b-ob", "Bo b"),
}


@pytest.mark.parametrize("login, name, username, shown", NAMES.values(), ids=NAMES)
def test_any_provider_name_becomes_a_valid_username_and_display_name(
    login, name, username, shown, doubles
):
    doubles.answers[shapes.GITHUB_PERSON] |= {"login": login, "name": name}
    doubles.answers[shapes.GITHUB_MAILS] = []
    assert doubles.round_trip(Client(), "github").url == "/"

    new = User.objects.get()
    assert (new.username, new.display_name) == (username, shown)


# docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-
# request-errors, "Bad verification code": with status 200
BAD_CODE = {"error": "bad_verification_code", "error_uri": "/apps/#bad-verification-code"}
# developers.facebook.com/docs/graph-api/guides/error-handling, "Error Responses"
GRAPH = {"message": "told", "type": "OAuthException", "code": 190, "fbtrace_id": "EJplcsCHuLu"}
# docs.x.com/x-api/fundamentals/response-codes-and-errors, "Error response format"
PROBLEM = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "told"}
ME = shapes.ANSWERS[shapes.FACEBOOK_PERSON]

ERRORS = [
    ("github", shapes.GITHUB_TOKEN, BAD_CODE),
    ("github", shapes.GITHUB_TOKEN, "error=bad_verification_code&error_description=told"),
    ("github", shapes.GITHUB_TOKEN, {"access_token": ["told"]}),
    ("github", shapes.GITHUB_PERSON, PROFILE | {"id": None}),
    ("github", shapes.GITHUB_MAILS, Answer({"message": "Forbidden"}, 403)),
    ("github", shapes.GITHUB_MAILS, ["alice@example.org"]),
    ("facebook", shapes.FACEBOOK_TOKEN, {"error": GRAPH}),
    ("facebook", shapes.FACEBOOK_PERSON, ME | {"id": "1" * 192}),
    ("facebook", shapes.FACEBOOK_PERSON, ME | {"id": "\u0661"}),
    ("twitter_oauth2", shapes.X_PERSON, {"errors": [PROBLEM]}),
    ("twitter_oauth2", shapes.X_PERSON, {"data": {"id": 1, "name": "", "username": ""}}),
    ("google", shapes.GOOGLE_PERSON, Answer({"sub": "another"})),
]


@pytest.mark.parametrize("provider, url, answer", ERRORS)
def test_a_provider_error_or_garbage_gives_a_plain_page_and_no_account(
    provider, url, answer, doubles, caplog
):
    doubles.answers[url] = answer
    page = doubles.round_trip(Client(), provider)

    assert page.status_code == 400
    told = page.text + caplog.text
    assert [text for text in ("told", shapes.TOKEN, shapes.CODE) if text in told] == []
    assert not User.objects.exists()
    assert not Identity.objects.exists()


@proves("V12.3.2", "V12.3.4")
def test_an_untrusted_tls_certificate_is_refused(doubles, monkeypatch):
    """Withstands a malicious server."""
    monkeypatch.setattr(http_client, "where", where)

    assert doubles.round_trip(Client(), "github").status_code == 400
    assert doubles.requests == []


def test_a_github_callback_with_another_issuer_requests_no_token(doubles):
    client = Client()
    answer = doubles.send_back(go(client, "github")) | {"iss": "https://evil.example"}

    assert come_back(client, answer, "github").status_code == 400
    assert doubles.requests == []


ACME: dict[str, Any] = {
    **{"id": "acme", "name": "Acme", "issuer": "https://acme.example", "client_id": "authsite"},
    **{"client_secret": "hunter2", "origins": ["https://login.acme.example"]},
}
KEYS = ("oidc/acme", "google", "microsoft", "apple", "github", "facebook", "twitter_oauth2")

ORIGINS = (
    "https://acme.example https://login.acme.example https://accounts.google.com "
    "https://login.microsoftonline.com https://login.live.com https://appleid.apple.com "
    "https://github.com https://www.facebook.com https://m.facebook.com "
    "https://x.com https://twitter.com"
)
LEADING = ("/accounts/login/", "/accounts/signup/", "/accounts/google/login/")
LEADING_MEMBERS = ("/accounts/3rdparty/", "/accounts/reauthenticate/?next=/")
OTHERS = ("/help/", "/accounts/password/reset/", "/accounts/login/code/", "/nowhere/")
OTHERS_MEMBERS = ("/", "/accounts/sessions/", "/accounts/password/change/")


def targets(client, path):
    """Return the ``form-action`` sources of a page's Content Security Policy."""
    answer = client.get(path)
    assert answer.status_code in {200, 404}, path
    found = re.search("form-action ([^;]+)", answer.headers["Content-Security-Policy"])
    assert found
    return found[1]


@pytest.mark.parametrize("page, there", [("login/", 200), ("login/callback/", 400)])
def test_8_5_a_provider_without_credentials_answers_404(page, there, settings):
    paths = {
        key: f"/accounts/{key}/{page}" for key in (*KEYS, "acme", "oidc/google", "oidc/../acme")
    }
    configured(settings)
    alice = signed_in(make_user("alice"))
    for path in paths.values():
        answers = [Client().get(path), Client().post(path), alice.post(path)]
        assert [answer.status_code for answer in answers] == [404, 404, 404], path

    half = {name: value for name, value in CREDENTIALS.items() if name.endswith("_id")}
    configured(settings, **half)
    assert {Client().get(path).status_code for path in paths.values()} == {404}

    configured(settings, ACME, **CREDENTIALS)
    for key, path in paths.items():
        assert Client().get(path).status_code == (there if key in KEYS else 404), path


def test_8_7_form_action_lists_provider_origins_only_on_pages_with_their_buttons(settings):
    """Withstands a hostile website."""
    configured(settings, ACME, **CREDENTIALS)
    stranger, member = Client(), signed_in(make_user("alice"))

    for client, pages in ((stranger, LEADING), (member, LEADING_MEMBERS)):
        assert [targets(client, page) for page in pages] == [f"'self' {ORIGINS}"] * len(pages)
    for client, pages in ((stranger, OTHERS), (member, OTHERS_MEMBERS)):
        assert [targets(client, page) for page in pages] == ["'self'"] * len(pages)

    none = dict.fromkeys(CREDENTIALS, "")
    configured(settings, **none | {"github_client_id": "1", "github_client_secret": "2"})
    assert targets(stranger, LEADING[0]) == "'self' https://github.com"
    configured(settings, **none)
    assert targets(stranger, LEADING[0]) == "'self'"


def test_provider_buttons_cost_the_sign_in_page_no_query_and_no_request(
    settings, monkeypatch, django_assert_num_queries
):
    configured(settings, ACME, **CREDENTIALS)
    asked: list[str] = []
    monkeypatch.setattr(http_client, "_addresses", lambda host, _port: asked.append(host) or [])
    Client().get("/accounts/login/")
    with django_assert_num_queries(0):
        answer = Client().get("/accounts/login/")

    assert re.findall(r'formaction="/accounts/([^"]+)/login/"', answer.text) == list(KEYS)
    assert asked == []
    assert ACME["client_secret"] not in answer.text

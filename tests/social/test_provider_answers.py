"""How the answers of Google, GitHub, Facebook and X are used: emails, names and errors."""

from typing import Any

import pytest
from certifi import where
from django.test import Client

from accounts.common import http_client
from accounts.users.models import Identity, User
from tests.support import doubles as shapes
from tests.support.doubles import MAIL, Answer, Doubles
from tests.support.social import come_back, go
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db
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
    claims: dict[str, Any], counts: bool, doubles: Doubles
) -> None:
    doubles.claims = claims
    assert doubles.round_trip(Client(), "google").url == "/"

    email = claims.get("email", "alice@example.org")
    assert User.objects.get().email.lower() == (email.lower() if counts else "")


def test_the_google_issuer_is_accepted_with_and_without_https(doubles: Doubles) -> None:
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
def test_an_unverified_email_neither_finds_an_account_nor_is_stored(
    provider: str, answers: dict[str, Any], doubles: Doubles
) -> None:
    alice = make_user("alice")
    doubles.answers |= answers
    assert doubles.round_trip(Client(), provider).url == "/"

    new = User.objects.exclude(pk=alice.pk).get()
    assert (new.email, list(new.emails.all())) == ("", [])
    assert Identity.objects.get().user == new


NAMES = {
    "taken": ("alice", "Alice", "alice-2", "Alice"),
    "emoji": ("\U0001f980", "\U0001f980 \U0001f980", "user", "\U0001f980 \U0001f980"),
    "emoji at its end": ("", "Bob \U0001f980", "Bob", "Bob \U0001f980"),
    "200 characters": ("b" * 200, "n" * 200, "b" * 23, "n" * 60),
    "none": (None, None, "user", ""),
    "of two alphabets": ("b\u043eb", "b\u043eb", "bb", "b\u043eb"),
    "what can't be seen": ("b\u202eob\0", "Bo\u202eb\n", "b-ob", "Bo b"),
}


@pytest.mark.parametrize("login, name, username, shown", NAMES.values(), ids=NAMES)
def test_any_provider_name_becomes_a_valid_username(
    login: Any, name: Any, username: str, shown: str, doubles: Doubles
) -> None:
    alice = make_user("alice")
    doubles.answers[shapes.GITHUB_PERSON] |= {"login": login, "name": name}
    doubles.answers[shapes.GITHUB_MAILS] = []
    assert doubles.round_trip(Client(), "github").url == "/"

    new = User.objects.exclude(pk=alice.pk).get()
    assert (new.username, new.display_name) == (username, shown)


# docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-
# request-errors, "Bad verification code": with status 200
BAD_CODE = {"error": "bad_verification_code", "error_uri": "/apps/#bad-verification-code"}
# developers.facebook.com/docs/graph-api/guides/error-handling, "Error Responses"
GRAPH = {"message": "told", "type": "OAuthException", "code": 190, "fbtrace_id": "EJplcsCHuLu"}
# docs.x.com/x-api/fundamentals/response-codes-and-errors, "Error response format"
PROBLEM = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "told"}
# developers.google.com/identity/protocols/oauth2/web-server, "Exchange authorization code"
GRANT = {"error": "invalid_grant", "error_description": "told"}
ME = shapes.ANSWERS[shapes.FACEBOOK_PERSON]
ERRORS = [
    ("github", shapes.GITHUB_TOKEN, BAD_CODE),
    ("github", shapes.GITHUB_TOKEN, "error=bad_verification_code&error_description=told"),
    ("github", shapes.GITHUB_TOKEN, {"access_token": ["told"]}),
    ("github", shapes.GITHUB_PERSON, Answer({"message": "Bad credentials"}, 401)),
    ("github", shapes.GITHUB_PERSON, PROFILE | {"id": None}),
    ("github", shapes.GITHUB_PERSON, PROFILE | {"id": 10**200}),
    ("github", shapes.GITHUB_PERSON, PROFILE | {"name": ["told"]}),
    ("github", shapes.GITHUB_PERSON, [PROFILE]),
    ("github", shapes.GITHUB_MAILS, Answer({"message": "Forbidden"}, 403)),
    ("github", shapes.GITHUB_MAILS, ["alice@example.org"]),
    ("facebook", shapes.FACEBOOK_TOKEN, Answer({"error": GRAPH}, 400)),
    ("facebook", shapes.FACEBOOK_TOKEN, {"error": GRAPH}),
    ("facebook", shapes.FACEBOOK_PERSON, Answer({"error": GRAPH}, 400)),
    ("facebook", shapes.FACEBOOK_PERSON, {"error": GRAPH}),
    ("facebook", shapes.FACEBOOK_PERSON, ME | {"id": "1" * 192}),
    ("facebook", shapes.FACEBOOK_PERSON, ME | {"id": "\u0661"}),
    ("twitter_oauth2", shapes.X_TOKEN, Answer({"error": "invalid_request"}, 400)),
    ("twitter_oauth2", shapes.X_PERSON, Answer(PROBLEM, 401)),
    ("twitter_oauth2", shapes.X_PERSON, Answer(PROBLEM | {"status": 429}, 429)),
    ("twitter_oauth2", shapes.X_PERSON, {"errors": [PROBLEM]}),
    ("twitter_oauth2", shapes.X_PERSON, {"data": {"id": 1, "name": "", "username": ""}}),
    ("google", shapes.GOOGLE_TOKEN, Answer(GRANT, 400)),
    ("google", shapes.GOOGLE_TOKEN, Answer({"access_token": "told"})),
    ("google", shapes.GOOGLE_KEYS, Answer({}, 503)),
    ("google", shapes.GOOGLE_PERSON, Answer({"error": "invalid_request"}, 401)),
    ("google", shapes.GOOGLE_PERSON, Answer({"sub": "another"})),
]


@pytest.mark.parametrize("provider, url, answer", ERRORS)
def test_a_provider_error_or_garbage_gives_a_plain_page_and_no_account(
    provider: str, url: str, answer: Any, doubles: Doubles, caplog: pytest.LogCaptureFixture
) -> None:
    doubles.answers[url] = answer
    page = doubles.round_trip(Client(), provider)

    assert page.status_code == 400
    told = page.text + caplog.text
    assert [text for text in ("told", shapes.TOKEN, shapes.CODE) if text in told] == []
    assert not User.objects.exists()
    assert not Identity.objects.exists()


def test_an_untrusted_tls_certificate_is_refused(
    doubles: Doubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "where", where)

    assert doubles.round_trip(Client(), "github").status_code == 400
    assert doubles.requests == []


def test_a_github_callback_with_another_issuer_requests_no_token(doubles: Doubles) -> None:
    client = Client()
    answer = doubles.send_back(go(client, "github")) | {"iss": "https://evil.example"}

    assert come_back(client, answer, "github").status_code == 400
    assert doubles.requests == []

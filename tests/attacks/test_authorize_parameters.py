"""Authorization requests with parameters that send codes to others or break the site."""

import random
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client as Browser

from accounts.oauth.models import AuthorizationCode, Client
from tests.support.api_input import storable
from tests.support.apps import WEB, make_app
from tests.support.authorize import (
    AUTHORIZE,
    CHALLENGE,
    PAR,
    VERIFIER,
    address,
    push,
    query,
    result,
    target,
    trusted,
)
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


FORM = "application/x-www-form-urlencoded"


# ``test_redirect_uris`` has many more. These also show that the endpoint changes no value.
TRICKS = [
    "",
    f"{WEB}/",
    f"{WEB} ",
    f" {WEB}",
    f"{WEB}\n",
    f"{WEB}\r\nX: y",
    f"{WEB}%00",
    "x" * 9000,
    WEB.upper(),
    "https://mallory.example/callback",
    "javascript:alert(1)",
    "/callback",
]


REFUSED: list[tuple[dict[str, str | None], str]] = [
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
    ({"code_challenge": CHALLENGE[1:]}, "invalid_request"),
    ({"code_challenge": "\uff10" * 43}, "invalid_request"),
    ({"response_type": None}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "form_post"}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "create"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "1e3"}, "invalid_request"),
    ({"max_age": "9" * 19}, "invalid_request"),
    ({"nonce": "a\x00b"}, "invalid_request"),
    ({"state": "x" * 8193}, "invalid_request"),
]


@pytest.fixture
def app() -> Client:
    return make_app(scope="openid profile email")


@pytest.fixture
def browser() -> Browser:
    """A browser in which alice is signed in with her password."""
    return signed_in(make_user("alice"))


def test_a_redirect_uri_that_is_not_registered_exactly_gets_a_page_and_no_redirect(
    app: Client, browser: Browser
) -> None:
    for uri, changes in product(TRICKS, ({}, {"response_type": "token"})):
        answer = browser.get(address(trusted(app), redirect_uri=uri, **changes))

        assert answer.status_code == 400, uri
        assert "Location" not in answer
        assert "http-equiv" not in answer.text


def test_a_parameter_that_is_there_twice_is_refused(app: Client, browser: Browser) -> None:
    """Two programs would otherwise read different values."""
    valid = query(trusted(app))
    for name in (*valid, "request_uri", "prompt", "resource"):
        fields = [*valid.items(), (name, "a"), (name, valid.get(name, "b"))]
        answer = browser.get(f"{AUTHORIZE}?{urlencode(fields)}")

        if name in {"client_id", "redirect_uri", "request_uri"}:
            assert answer.status_code == 400
        else:
            assert result(answer)["error"] == "invalid_request"
            assert result(answer).get("state") == (None if name == "state" else "s-1")
        pushed = Browser().post(PAR, urlencode(fields), content_type=FORM)
        assert pushed.json()["error"] == "invalid_request"
    assert not AuthorizationCode.objects.exists()


def test_requests_without_s256_or_of_another_flow_get_no_code(
    settings: Any, app: Client, browser: Browser
) -> None:
    public = make_app(is_public=True, scope="openid email")
    for changes, error in REFUSED:
        answer = browser.get(address(trusted(app), **changes))

        assert target(answer).startswith(f"{WEB}?error="), changes
        assert (result(answer)["error"], result(answer)["iss"]) == (error, settings.AUTHSITE.origin)
        assert push(public, **changes).json()["error"] == error
    assert not AuthorizationCode.objects.exists()


VALUES = [
    *(
        "",
        "x",
        "code",
        "openid",
        "none",
        "login",
        "S256",
        WEB,
        CHALLENGE,
        "0",
        "-1",
        "1e9",
        "9" * 30,
    ),
    *("\x00", "\ud800", "\u202e", "a\nb", "%00", "' OR 1=1", "<script>", "urn:ietf:params:oauth:"),
    *("urn:ietf:params:oauth:request_uri:", "x" * 9000, "[]", "{}", "\U0001f600", "de-" * 200),
]


NAMES = [
    *query(Client(pk="x")),
    *("prompt", "max_age", "acr_values", "login_hint", "ui_locales", "resource", "request"),
    *("request_uri", "response_mode", "id_token_hint", "claims", "registration", "client_secret"),
]


def fuzzed(rng: random.Random, app: Client) -> str:
    """Return the query of a valid request with up to five changes, as raw text."""
    fields = list(query(app).items())
    for _ in range(rng.randint(0, 5)):
        name, value = rng.choice(NAMES), rng.choice(VALUES)
        if rng.random() < 0.7:
            fields = [pair for pair in fields if pair[0] != name]
        fields.insert(rng.randint(0, len(fields)), (name, value))
    text = urlencode(fields, errors="surrogatepass")
    if rng.random() < 0.1:
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(["&&", "%", "%ff", "=", ";", "\xa0"]) + text[at:]
    return text


def fuzz(app: Client, rounds: int) -> None:
    """Send requests to both endpoints, by a person who is signed in and by one who is not."""
    rng, alice = random.Random(25), signed_in(make_user("alice"))  # noqa: S311 no secret
    for _ in range(rounds):
        text, browser = fuzzed(rng, app), rng.choice([alice, Browser()])
        answers = [
            browser.generic("GET", AUTHORIZE, QUERY_STRING=text),
            browser.post(AUTHORIZE, text, content_type=FORM),
            Browser().post(PAR, text, content_type=FORM),
        ]
        if page := answers[0].get("Location", "").removeprefix("/oauth/continue/"):
            answers.append(browser.get(f"/oauth/continue/{page}"))
        assert [answer.status_code for answer in answers if answer.status_code >= 500] == [], text
        for answer in answers[:1]:
            away = answer.get("Location", "/")
            assert away.startswith(("/", WEB)), text


def test_a_state_that_no_header_can_hold_is_not_sent_back(app: Client, browser: Browser) -> None:
    for state in ("s" * 8193, "é" * 4097):
        answer = result(browser.post(AUTHORIZE, query(app, state=state)))
        assert (answer["error"], answer.get("state")) == ("invalid_request", None)


def test_no_odd_request_causes_a_server_error(settings: Any, app: Client) -> None:
    set_up(settings, limits_scale=100_000)
    Client.objects.update(is_public=True)
    with connection.execute_wrapper(storable):
        assert Browser().get(AUTHORIZE, {"client_id": "\0"}).status_code == 400
        fuzz(app, 60)


@pytest.mark.proof
def test_two_thousand_odd_requests_cause_no_server_error(settings: Any, app: Client) -> None:
    set_up(settings, limits_scale=100_000)
    Client.objects.update(is_public=True)
    with connection.execute_wrapper(storable):
        fuzz(app, 2000)

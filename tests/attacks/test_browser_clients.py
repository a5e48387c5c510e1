"""Attacks on scripts that sign in over the API."""

import itertools
import json

import pytest
from django.test import Client

from accounts.activity.models import Activity
from accounts.sessions.models import LoginSession
from accounts.throttle.models import StoredBudget
from tests.support.api import call, claims_of, exchange, get_tokens, is_good, renew, second_step
from tests.support.api_browser import HEADERS, ORIGIN, App
from tests.support.second_factor import enrolled, unused_code
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import WRONG, make_user, outbox

DEAD = (401, "token_not_valid")
DAY = 24 * 3600


@proves("V10.1.1")
def test_the_refresh_token_is_in_an_httponly_cookie_and_in_no_body(clock):
    """Withstands a hostile website: a script reads the refresh token."""
    alice, app = make_user("alice"), App()
    enrolled(alice)
    first = app.sign_in()
    assert "refresh" not in app.client.cookies
    second = app.second_step(first["challenge"], code=unused_code(alice))
    tokens = [app.refresh]
    for days_left in (25, 20, 15, 10, 5):
        clock.advance(days=5)
        answer = app.renew()
        tokens.append(app.refresh)
        cookie = app.cookie
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
        assert (cookie["path"], cookie["domain"]) == ("/", "")
        assert cookie["max-age"] == days_left * DAY, "the cookie ends with the session"

    for each in (first, second, answer):
        assert "refresh" not in json.dumps(each.body)
        for token in tokens:
            assert token not in json.dumps([each.body, list(each.headers.items())])
    clock.advance(days=5)
    assert app.renew().short == DEAD


def test_a_refresh_token_from_a_cookie_is_refused_in_a_body():
    """A program's refresh token is refused in the cookie, too."""
    make_user("alice")
    app, program = App(), get_tokens()
    app.sign_in()

    assert renew(app.refresh).short == DEAD
    assert call("token/verify/", {"token": app.refresh}).short == DEAD
    assert call("me/", token=app.refresh).short == DEAD
    former = app.refresh
    assert app.renew().status == 200
    assert renew(former).short == DEAD, "it was replaced a moment ago"
    for token in (program["refresh"], program["access"]):
        app.refresh = token
        assert app.renew().short == DEAD
        assert app.refresh == ""
    assert renew(program["refresh"]).status == 200


def test_a_challenge_works_only_at_the_endpoint_family_that_issued_it():
    """Withstands a hostile website: it takes a challenge elsewhere."""
    alice, app = make_user("alice", emailed_codes=True), App()
    enrolled(alice)
    first = app.sign_in(scope="profile:read")
    assert first.short == (401, "second_factor_required")
    pages, programs = first["challenge"], get_tokens()["challenge"]

    # More often than a challenge may be tried.
    for _ in range(6):
        answers = [
            second_step(pages, unused_code(alice)),
            call("token/challenge/", {"challenge": pages, "method": "email"}),
            app.second_step(programs, code=unused_code(alice)),
            app.second_step(programs, method="email"),
        ]
        assert {answer.short for answer in answers} == {(401, "invalid_challenge")}
    assert call("token/challenge/", {"challenge": programs}).fields == ["code"]
    assert app.second_step(pages).fields == ["code"]
    assert not LoginSession.objects.exists()
    assert outbox() == []
    app.second_step(pages, method="email")
    code = outbox()[-1].code
    assert app.second_step(pages, code=code)["scope"] == "profile:read"
    assert app.second_step(pages, code=code).short == (401, "invalid_challenge"), (
        "a challenge is used up by success"
    )


def test_a_browser_clients_access_token_gets_no_other_token_and_no_key():
    """Withstands a thief with a token.

    Otherwise a thief could renew a stolen access token for as long as the session lasts.
    """
    make_user("alice")
    access = App().sign_in()["access"]

    for token_request in ({}, {"scope": "profile:read"}):
        assert exchange(access, **token_request).short == DEAD
    answer = call("keys/", {"name": "loot", "scope": "read", "expires_at": None}, token=access)
    assert answer.short == (403, "not_for_pages")
    assert call("keys/", token=access)["count"] == 0
    assert is_good(access)


def test_signing_in_again_revokes_the_previous_session():
    make_user("alice")
    make_user("mallory")
    app = App()
    first, kept = app.sign_in(), app.refresh
    assert app.call("session/", {"username": "alice", "password": WRONG}).status == 401
    assert is_good(first["access"]), "a wrong password revokes nothing"

    second = app.sign_in()
    third = app.sign_in("mallory")

    assert [is_good(answer["access"]) for answer in (first, second, third)] == [False, False, True]
    app.refresh = kept
    assert app.renew().short == DEAD
    assert LoginSession.objects.filter(ended_at=None).count() == 1


def test_signing_out_revokes_the_session_and_is_idempotent():
    """Withstands a thief with a cookie."""
    alice, app, thief = make_user("alice"), App(), App()
    access, bystander = app.sign_in()["access"], get_tokens()["access"]
    thief.refresh = app.refresh

    for _ in range(2):
        assert (app.sign_out().status, app.refresh, app.cookie["max-age"]) == (204, "", 0)

    assert not is_good(access)
    assert thief.renew().short == DEAD
    assert is_good(bystander)
    assert str(alice.activity.get(kind="client_signed_out").session) == claims_of(access)["sid"]


def test_a_revoked_session_cannot_be_refreshed_and_its_cookie_is_deleted():
    browser, app = signed_in(make_user("alice")), App()
    access = app.sign_in()["access"]
    session = str(LoginSession.objects.get(kind="app").pk)
    assert session in browser.get("/accounts/sessions/").text

    browser.post("/accounts/sessions/", {"end": session})

    answer = app.renew()
    assert answer.short == DEAD
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert (app.refresh, app.cookie["max-age"]) == ("", 0)
    assert not is_good(access)


ALLOWED = "https://app.example.org"
FORBIDDEN = (403, "origin_not_allowed")
CALLS = (lambda app: app.sign_in("mallory"), App.renew, App.sign_out)

ELSEWHERE = [
    *(None, "", "null", "*", "https://evil.example", "file://", "localhost:8000"),
    # Another scheme or port, another spelling, a part of the origin, an extended one.
    *("https://localhost:8000", "http://localhost", "http://localhost:8001", ORIGIN.upper()),
    *("http://localhost.:8000", "http://localhost:08000", "http://127.0.0.1:8000", f"{ORIGIN}/"),
    *(f"{ORIGIN}?", f"{ORIGIN}.evil.example", f"{ORIGIN}@evil.example", "http://x@localhost:8000"),
    *("http://xlocalhost:8000", "http://x.localhost:8000", f"{ORIGIN},{ORIGIN}", f" {ORIGIN}"),
    *(f"{ORIGIN} https://evil.example", f"https://evil.example, {ORIGIN}", f"{ORIGIN}\0"),
    *(f"{ALLOWED}.", f"{ALLOWED}:443", f"{ALLOWED}.evil.example", "http://app.example.org"),
    *("https://x.app.example.org", "https://example.org", "https://appXexample.org"),
    *("https://APP.example.org", "https://app.example.orgx", f"https://evil.example/{ALLOWED}"),
]


@pytest.fixture
def app(db, settings, clock):
    """A browser client of alice, and a setting that allows one other origin."""
    set_up(settings, cors_origins=(ALLOWED,))
    make_user("alice")
    make_user("mallory")
    app = App()
    assert app.sign_in().status == 200
    return app


def state():
    """Return the rows that a request could change."""
    models = (LoginSession, Activity, StoredBudget)
    return [list(model.objects.order_by("pk").values()) for model in models]


def assert_refused(app, act, queries):
    before, cookie = state(), app.refresh
    with queries(0):
        answer = act(app)
    assert (answer.status, answer.code) == FORBIDDEN, app.headers
    assert "access" not in answer.body
    assert app.refresh == cookie
    assert state() == before, app.headers


def test_a_page_of_another_origin_is_refused_without_a_query(app, django_assert_num_queries):
    """Withstands a hostile website."""
    for act, origin in itertools.product(CALLS, ELSEWHERE):
        # Headers that look as if the request came from the site do not count.
        app.headers = HEADERS | {"Referer": f"{ORIGIN}/", "Sec-Fetch-Site": "same-origin"}
        app.headers["Origin"] = origin or ""
        if origin is None:
            del app.headers["Origin"]

        assert_refused(app, act, django_assert_num_queries)


@proves("V3.5.2")
def test_a_request_without_the_custom_header_is_refused(app, django_assert_num_queries):
    values = (None, "", "XMLHttpRequest", "Authsite", "authsite2", "authsite, x", "x, authsite")
    for act, value in itertools.product(CALLS, values):
        app.headers = {"Origin": ORIGIN} | ({} if value is None else {"X-Requested-With": value})

        assert_refused(app, act, django_assert_num_queries)


@pytest.mark.parametrize("origin", [ORIGIN, ALLOWED])
def test_the_site_and_an_allowed_origin_are_served(app, origin):
    app.headers["Origin"] = origin

    assert [app.renew().status, app.sign_in().status, app.sign_out().status] == [200, 200, 204]


@proves("V3.5.2")
def test_a_content_type_that_a_form_can_send_is_refused(app):
    """Forms cannot send JSON, and neither can a ``fetch`` without a preflight."""
    before = state()
    form = "application/x-www-form-urlencoded"
    for kind in (form, "multipart/form-data; boundary=x", "text/plain"):
        for path in ("session/", "session/code/", "session/refresh/"):
            answer = app.client.generic("POST", f"/api/v1/{path}", "x=1", kind, headers=HEADERS)
            assert answer.status_code == 415
    assert state() == before


ODD_COOKIES = ("", "x", "x" * 8192, "\0", '"\\000"', "\u202e", "A" * 72, "\xe9" * 72,
               "a; refresh=b")  # fmt: skip


def test_a_malformed_refresh_cookie_causes_no_server_error(app, django_assert_num_queries):
    for cookie in ODD_COOKIES:
        app.headers["Cookie"] = f"refresh={cookie}".encode().decode("latin-1")

        with django_assert_num_queries(0):
            answer = app.renew()
            assert (answer.status, answer.code) == (401, "token_not_valid"), cookie
            assert app.sign_out().status == 204


def cross_origin(path, origin, method="GET", **headers):
    """Send a request without credentials, as a page of ``origin`` does."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client().generic(method, path, headers={"Origin": origin, **sent})


def preflight(path, origin):
    """Send the preflight request of a browser."""
    return cross_origin(path, origin, "OPTIONS", Access_Control_Request_Method="POST")


@pytest.fixture
def allowed_origin(db, settings):
    """Allow one origin, as ``CORS_ORIGINS`` does at the start."""
    settings.CORS_ALLOWED_ORIGINS = [ALLOWED]


@proves("V3.4.2")
def test_an_allowed_origin_may_send_credentials_and_read_answers(allowed_origin):
    for path in ("session/", "session/refresh/", "me/", "keys/"):
        before = preflight(f"/api/v1/{path}", ALLOWED)
        assert before.status_code == 200
        allowed = {name.strip() for name in before["Access-Control-Allow-Headers"].split(",")}
        assert allowed >= {"authorization", "content-type", "x-requested-with"}
        assert "POST" in before["Access-Control-Allow-Methods"]
        for answer in (before, cross_origin(f"/api/v1/{path}", ALLOWED)):
            assert answer["Access-Control-Allow-Origin"] == ALLOWED
            assert answer["Access-Control-Allow-Credentials"] == "true"
            assert "origin" in answer["Vary"].lower()


def test_an_allowed_origin_may_read_errors_and_the_request_id(allowed_origin):
    """Without these headers, a script sees every error as a network error."""
    path, key = "/api/v1/me/", f"authsite_{'a' * 55}"
    for answer, status in (
        (cross_origin(path, ALLOWED, Host="evil.example"), 400),
        (cross_origin(f"{path}?key={key}", ALLOWED), 400),
        (cross_origin("/api/v2/me/", ALLOWED), 404),
        (cross_origin(path, ALLOWED, "TRACE"), 405),
        (Client().generic("POST", path, b"x" * 65_537, headers={"Origin": ALLOWED}), 413),
    ):
        assert answer.status_code == status
        assert answer["Access-Control-Allow-Origin"] == ALLOWED
        assert "x-request-id" in answer["Access-Control-Expose-Headers"].lower()


@proves("V3.4.2")
def test_no_other_origin_may_call_or_read(allowed_origin, settings):
    """Withstands a hostile website."""
    origins = [origin for origin in ELSEWHERE if origin and origin.isprintable()]
    for allowed in ([ALLOWED], []):
        settings.CORS_ALLOWED_ORIGINS = allowed
        for origin in origins if allowed else [*origins, ALLOWED]:
            for answer in (
                preflight("/api/v1/session/", origin),
                preflight("/api/v1/me/", origin),
                cross_origin("/api/v1/me/", origin),
                cross_origin("/api/v1/no-such-call/", origin),
            ):
                assert "Access-Control-Allow-Origin" not in answer, (allowed, origin)
                assert "origin" in answer["Vary"].lower()


def test_an_allowed_origin_may_read_no_page_and_no_static_file(allowed_origin):
    for path in ("/", "/accounts/login/", "/static/app.css", "/admin/"):
        answer = cross_origin(path, ALLOWED)
        assert answer.getvalue() or answer.status_code == 302
        assert "Access-Control-Allow-Origin" not in answer, path

"""Attacks on the OAuth ``state``, which works once, soon, and in the browser that got it."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.users.models import Identity, User
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.signin import signed_in
from tests.support.social import come_back, configured, go, round_trip
from tests.support.standards import proves
from tests.support.steps import LOGOUT, is_signed_in, make_user, sign_in

CALLBACK = "/accounts/oidc/acme/login/callback/"
OTHER = "oidc/other"


@pytest.fixture
def op(settings):
    with OpenIDProvider() as op:
        configured(settings, op.setting(), op.setting("other", "Other"))
        yield op


def assert_refused(answer, op):
    """Fail unless the answer is a 400 page, the provider was not called and nothing was stored."""
    assert answer.status_code == 400
    assert b"Start again." in answer.content
    assert op.count("/token") == 0
    assert not Identity.objects.exists()


@proves("V10.2.1", "RFC9700-2.1-c")
def test_a_missing_or_wrong_state_is_refused(op):
    browser = Client()
    url = go(browser)
    answer = op.answer(url)
    right = answer.pop("state")
    nonce = parse_qs(urlsplit(url).query)["nonce"][0]

    assert_refused(come_back(browser, answer), op)
    for wrong in ("", "A" * len(right), nonce, right[:-1], right + "A"):
        assert_refused(come_back(browser, answer | {"state": wrong}), op)

    assert not is_signed_in(browser)
    assert come_back(browser, answer | {"state": right}).url == "/"


GARBAGE = ["%00", "%ED%A0%80", "%FF%FE", "a" * 8000, "%F0%9F%94%91", "1&state=2", "%0D%0Ax"]


@pytest.mark.parametrize("name", ["state", "state[]", "code", "iss", "error"])
def test_malformed_callback_parameters_are_refused_without_a_server_error(op, name):
    for value in GARBAGE:
        browser = Client()
        state = op.answer(go(browser))["state"]
        right = {"state": "code=x", "code": f"state={state}"}.get(name, f"state={state}&code=x")

        assert browser.get(f"{CALLBACK}?{right}&{name}={value}").status_code == 400, value

    assert op.count("/token") == 0 or name in {"code", "state[]"}
    assert not User.objects.exists()


def test_a_state_works_once(op):
    browser = Client()
    first = op.answer(go(browser))
    again = op.answer(go(browser)) | {"state": first["state"]}
    assert come_back(browser, first).url == "/"
    op.requests.clear()

    answer = come_back(browser, again)

    assert answer.status_code == 400
    assert op.count("/token") == 0
    assert LoginSession.objects.count() == 1


def test_an_error_answer_uses_up_the_state(op):
    browser = Client()
    answer = op.answer(go(browser))
    come_back(browser, {"state": answer["state"], "error": "access_denied"})

    assert_refused(come_back(browser, answer), op)


@proves("V10.1.2", "RFC9700-2.1-c")
def test_the_state_of_another_browser_signs_nobody_in(op):
    """Withstands a hostile website: login CSRF at a provider.

    Login CSRF: alice's browser opens the callback URL of mallory's sign-in.
    """
    mallory, alice = Client(), Client()
    answer = op.answer(go(mallory), Person("mallory-1"))

    assert_refused(come_back(alice, answer), op)
    go(alice)
    assert_refused(come_back(alice, answer), op)

    assert not is_signed_in(alice)
    assert not User.objects.exists()


@proves("V10.2.2")
def test_mix_up_the_state_of_one_provider_is_refused_from_another(op):
    """Withstands a malicious server."""
    browser = Client()

    assert_refused(come_back(browser, op.answer(go(browser)), OTHER), op)
    assert_refused(come_back(browser, op.answer(go(browser, OTHER))), op)

    assert not is_signed_in(browser)


@pytest.mark.parametrize("seconds, is_good", [(599, True), (600, False)])
def test_a_state_is_valid_for_ten_minutes(op, clock, seconds, is_good):
    browser = Client()
    answer = op.answer(go(browser))
    clock.advance(seconds=seconds)

    if is_good:
        assert come_back(browser, answer).url == "/"
    else:
        assert_refused(come_back(browser, answer), op)


@pytest.mark.parametrize(
    "act, how, then",
    [
        ("connect", "signs out", "mallory"),
        ("connect", "is ended elsewhere", "alice"),
        ("prove", "signs out", "alice"),
        ("prove", "is ended elsewhere", ""),
    ],
)
def test_a_flow_begun_in_one_session_cannot_be_finished_in_another(op, act, how, then):
    make_user("mallory")
    alice = make_user("alice")
    browser = signed_in(alice)
    answer = op.answer(go(browser, act=act))
    if how == "signs out":
        browser.post(LOGOUT)
    else:
        sessions.revoke(LoginSession.objects.get(user=alice))
    if then:
        assert sign_in(browser, then).url == "/"

    assert_refused(come_back(browser, answer), op)


def test_a_second_tab_does_not_change_who_is_signed_in(op):
    """A browser that returns after another tab has signed in is only redirected."""
    browser = Client()
    first, second = op.answer(go(browser)), op.answer(go(browser), Person("mallory-1"))
    assert come_back(browser, first).url == "/"
    op.requests.clear()

    assert come_back(browser, second).url == "/"

    assert op.count("/token") == 0
    assert LoginSession.objects.get(ended_at=None).user.username == "alice"


def test_the_sixth_tab_invalidates_only_the_state_of_the_first(op):
    browser = Client()
    answers = [op.answer(go(browser)) for _ in range(6)]

    assert_refused(come_back(browser, answers[0]), op)

    assert come_back(browser, answers[1]).url == "/"


@proves("V7.6.2")
def test_a_get_request_starts_no_sign_in_at_a_provider(op):
    """Login CSRF by an image on another site."""
    answer = Client().get("/accounts/oidc/acme/login/", {"act": "connect"})

    assert answer.status_code == 200
    assert op.requests == []
    assert Client(enforce_csrf_checks=True).post("/accounts/oidc/acme/login/").status_code == 403
    assert round_trip(Client(), op).url == "/"

"""What a metadata document of an app cannot claim, and when it does not count any more."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser

from accounts.oauth.clients import documents
from accounts.oauth.models import Client, Connection, LogoutNotice
from accounts.users.models import User
from tests.support.app_documents import ASK, JSON, refuses
from tests.support.apps import make_app
from tests.support.authorize import (
    AUTHORIZE,
    address,
    allow,
    begin,
    push,
    result,
)
from tests.support.client_keys import public_of
from tests.support.clock import Clock
from tests.support.document_host import HOST, REDIRECT, DocumentHost
from tests.support.forgeries import key_of
from tests.support.logout import ended, send_all
from tests.support.oauth_client import App
from tests.support.receiver import say
from tests.support.signin import set_up, signed_in
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def browser(alice: User) -> Browser:
    return signed_in(alice)


def test_an_answer_that_is_no_document_of_the_app_is_refused(
    host: DocumentHost, browser: Browser, settings: Any
) -> None:
    set_up(settings, limits_scale=1000)
    valid = json.dumps(host.members).encode()
    for body, headers in (
        *((body, JSON) for body in (b"", b"{", b"[]", b"null", b"1", b"\xff", b"[" * 5000, b"NaN")),
        (valid + b" " * 5120, JSON),
        (valid, {}),
        (valid, {"Content-Type": "text/html"}),
        (valid, {"Content-Type": "application/jsonx"}),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, JSON),
        (b'{"client_id": ' + b"9" * 5000 + b"}", JSON),
    ):
        host.answers["/client.json"] = say(200, body, **headers)
        assert refuses(host, browser), body[:40]
    for status in (201, 204, 206, 304, 400, 401, 404, 410, 500, 503):
        host.answers["/client.json"] = say(status, valid, **JSON)
        assert refuses(host, browser), status


@pytest.mark.parametrize(
    "members",
    [
        {"client_id": "https://app.localhost/client.json"},
        {"client_id": None},
        {"client_id": []},
        {"client_secret": "x"},
        {"client_secret_expires_at": 0},
        *(
            {"token_endpoint_auth_method": f"client_secret_{how}"}
            for how in ("basic", "post", "jwt")
        ),
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": public_of(key_of("ES256"))},
        {"client_name": None},
        {"client_name": "Rea\u202eder"},
        {"redirect_uris": ["javascript:alert(1)", "http://app.example.org/", "app:/", 5]},
        {"redirect_uris": REDIRECT},
        {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://mallory.example/jwks.json",
        },
    ],
)
def test_a_document_that_takes_more_than_it_may_is_refused(
    host: DocumentHost, browser: Browser, members: dict[str, Any]
) -> None:
    host.members |= members

    assert refuses(host, browser)


def test_a_document_cannot_give_its_app_more_rights(host: DocumentHost, browser: Browser) -> None:
    host.members |= {
        "scope": "openid groups profile:write activity:read",
        "audiences": [host.client_id],
        "is_first_party": True,
        "is_verified": True,
        "logo_uri": "https://mallory.example/bank.png",
        "client_uri": "https://mallory.example/",
        "policy_uri": "javascript:alert(1)",
        "backchannel_logout_uri": "https://mallory.example/logout",
        "tos_uri": host.url("/terms", HOST),
    }

    page = begin(browser, host.app, **ASK, scope="openid")

    app = host.app
    assert (app.scope, app.audiences) == ("openid", [])
    assert (app.is_first_party, app.is_verified, app.backchannel_logout_uri) == (False, False, "")
    assert "mallory.example" not in page.text
    assert "javascript" not in page.text
    assert app.terms_url in page.text
    for scope in ("openid groups", "openid profile:write"):
        assert "invalid_scope" in browser.get(address(host.app, **ASK, scope=scope)).text


def test_an_app_cannot_hide_its_host_behind_the_name_of_another_one(
    host: DocumentHost, browser: Browser
) -> None:
    host.members["client_name"] = "<b>My bank</b> (verified)"

    page = begin(browser, host.app, **ASK)

    assert f"<h1>Sign in to <bdi>{HOST}:{host.port}</bdi></h1>" in page.text
    assert page.text.count("My bank") == 1
    assert "It calls itself “<bdi>&lt;b&gt;My bank&lt;/b&gt; (verified)</bdi>”" in page.text
    assert f"<title>Sign in to {HOST}:{host.port}" in page.text


def test_an_app_that_changes_its_name_is_not_verified_any_more(
    host: DocumentHost, alice: User, clock: Clock
) -> None:
    begin(signed_in(alice), host.app, **ASK)
    Client.objects.update(is_verified=True)
    host.members["client_name"] = "My bank"
    clock.advance(days=1)

    page = begin(signed_in(alice), host.app, **ASK)

    assert "Not verified" in page.text
    assert f"<h1>Sign in to <bdi>{HOST}:{host.port}</bdi></h1>" in page.text


def test_a_host_that_the_operator_does_not_name_any_more_gets_nothing(
    host: DocumentHost, browser: Browser, settings: Any
) -> None:
    page = begin(browser, host.app, **ASK, scope="openid offline_access")
    code = result(allow(browser, page))["code"]
    page = begin(browser, host.app, **ASK)
    set_up(settings, client_metadata_hosts=())

    assert allow(browser, page).status_code == 403
    assert begin(browser, host.app, **ASK).status_code == 400
    assert App(host.app).redeem(code, redirect_uri=REDIRECT).error == "invalid_client"
    assert push(host.app, **ASK).json()["error"] == "invalid_client"


def test_an_app_of_a_removed_host_signs_nobody_out_and_is_not_told_of_sessions_that_end(
    host: DocumentHost, alice: User, browser: Browser, settings: Any, clock: Clock
) -> None:
    begin(browser, host.app, **ASK)
    Client.objects.update(backchannel_logout_uri=host.url("/logout", HOST))
    hint = App(host.app).sign_in(alice.login_sessions.get(kind="browser"), "openid")["id_token"]
    ended(alice, host.app)
    clock.advance(seconds=1)
    send_all()
    assert len(host.tokens()) == 1
    set_up(settings, client_metadata_hosts=())

    ended(alice, host.app)
    clock.advance(seconds=1)
    send_all()
    browser.get("/oauth/logout", {"id_token_hint": hint})

    assert (len(host.tokens()), LogoutNotice.objects.count()) == (1, 0)
    assert "Stay signed in" in browser.get("/oauth/logout").text


def test_a_document_cannot_take_the_identifiers_of_another_host(
    host: DocumentHost, alice: User, clock: Clock
) -> None:
    mine, others = [REDIRECT], ["https://shop.example.org/callback"]

    def changed(kind: str, uris: list[str]) -> tuple[Browser, Any]:
        host.members |= {"subject_type": kind, "redirect_uris": uris}
        clock.advance(hours=2)
        browser = signed_in(alice)
        return browser, begin(browser, host.app, redirect_uri=uris[0])

    for kind, uris in (("public", mine), ("pairwise", others), ("pairwise", mine)):
        browser, page = changed(kind, uris)
    assert "code" in result(allow(browser, page))

    for kind, uris in (("public", mine), ("pairwise", others)):
        assert changed(kind, uris)[1].status_code == 400
    assert host.app.sector == "app.example.org"


def test_a_redirect_uri_that_the_document_has_lost_gets_no_code(
    host: DocumentHost, alice: User, clock: Clock
) -> None:
    begin(signed_in(alice), host.app, **ASK)
    pushed = push(host.app, **ASK).json()["request_uri"]
    browser = Browser()
    page = browser.get(AUTHORIZE, {"client_id": host.client_id, "request_uri": pushed})
    host.members["redirect_uris"] = ["http://127.0.0.1/callback"]
    clock.advance(minutes=59, seconds=50)
    signed_in(alice, browser)
    assert browser.get(page["Location"]).status_code == 200
    clock.advance(seconds=9)
    Client.objects.update(document_due_at=clock.now())

    assert browser.get(page["Location"]).status_code == 400
    assert not Connection.objects.exists()


def test_a_document_that_turns_wrong_is_refused_though_it_was_read_before(
    host: DocumentHost, alice: User, clock: Clock
) -> None:
    begin(signed_in(alice), host.app, **ASK)
    clock.advance(days=1)
    host.answers["/client.json"] = say(404)
    browser = signed_in(alice)

    statuses = {begin(browser, host.app, **ASK).status_code for _ in range(12)}
    assert statuses == {400, 429}
    host.reset()
    clock.advance(minutes=10)

    assert begin(browser, host.app, **ASK).status_code == 200


@pytest.mark.parametrize("status", [404, 503])
def test_a_refused_or_too_old_document_is_not_used_while_another_request_reads_it(
    host: DocumentHost, browser: Browser, clock: Clock, status: int
) -> None:
    page, now = begin(browser, host.app, **ASK), clock.now()
    age = documents.LAST * (status == 503)
    Client.objects.update(document_due_at=now, document_read_at=now - age)
    host.answers["/client.json"] = say(status)
    assert begin(browser, host.app, **ASK).status_code == 400
    documents._begin(host.app)

    assert begin(browser, host.app, **ASK).status_code == 400
    assert allow(browser, page).status_code == 400


def test_an_app_of_an_operator_is_never_taken_over_by_a_document(
    host: DocumentHost, browser: Browser
) -> None:
    """Only ``source`` separates them, so the form of the IDs must, too."""
    app = make_app()
    host.members["client_id"] = app.pk

    assert browser.get(address(host.app, **ASK)).status_code == 400
    assert Client.objects.get().source == Client.Source.OPERATOR
    app.is_first_party = True
    app.source = Client.Source.DOCUMENT
    with pytest.raises(ValidationError):
        app.clean()

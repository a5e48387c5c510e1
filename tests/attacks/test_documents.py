"""Attacks by apps whose client ID is the URL of a document."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client as Browser

from accounts.oauth.clients import documents
from accounts.oauth.clients.models import Client
from accounts.oauth.models import Connection, LogoutNotice, UnreadRequest
from accounts.oauth.requests import LONGEST_QUERY
from accounts.throttle.limits import METADATA_NETWORK, METADATA_PERSON
from tests.support.apps import make_app
from tests.support.authorize import (
    AUTHORIZE,
    address,
    allow,
    begin,
    page_of_request,
    push,
    query,
    result,
)
from tests.support.client_keys import public_of
from tests.support.document_host import HOST, REDIRECT, resolve
from tests.support.forgeries import key_of
from tests.support.logout import ended, send_all
from tests.support.oauth_client import App
from tests.support.receiver import say
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import make_user

ASK = {"redirect_uri": REDIRECT}
JSON = {"Content-Type": "application/json"}


def refuses(host, browser, **asked):
    """Return whether the site shows an error page, sends nothing to the app, and stores no app."""
    answer = browser.get(address(host.app, **(ASK | asked)))
    assert answer.status_code < 500
    return answer.status_code == 400 and not Client.objects.exists()


def test_a_document_in_the_private_network_is_not_read(
    host, browser, connections, settings, monkeypatch
):
    """Withstands a malicious server: SSRF."""
    set_up(settings, limits_scale=1000)
    for ip in ("127.0.0.2", "169.254.169.254", "::1", "::ffff:127.0.0.2", "64:ff9b::7f00:2"):
        resolve(monkeypatch, [ip])
        assert refuses(host, browser), ip

    assert (connections, host.count) == ([], 0)


WRONG = [
    *("https://{}/", "http://{}/client.json", "https://{}//client.json", "https:"),
    *("https://{}/a/./client.json", "https://{}/a/..", "https://{}/%2e%2e/client.json"),
    *("https://{}/client.json?x=1", "https://{}/client.json#x", "https://{}/cl ient"),
    *("https://a@{}/client.json", "https://{}@mallory.example/", "https://{}:443/client.json"),
    *("https://{}.mallory.example/c", "https://mallory.example/{}", "https://x.{}/c"),
    *("https://{}\\client.json", "https://{}/\0", "https://{}/\ud83d", "https:///client.json"),
    *("https://APP.localhost/c", "https://app.localhost./c", "https://app.localhost:8/c"),
    *("HTTPS://{}/c", "https://\uff41pp.localhost/c", "https://{}/" + "x" * 255),
    "https://10.0.0.1/client.json",
]


@proves("V13.2.4")
def test_only_exact_urls_at_the_hosts_of_the_setting_are_read(host, browser, connections):
    """Withstands a malicious app."""
    for wrong in WRONG:
        client_id = wrong.format(f"{HOST}:{host.port}").encode("utf-8", "replace")
        answer = browser.get(AUTHORIZE, {"client_id": client_id})
        assert (answer.status_code, connections) == (400, []), wrong
    assert not UnreadRequest.objects.exists()


def test_strangers_cause_no_request_at_any_endpoint(host):
    """Withstands a hostile website: the site is made to read documents of apps."""
    stranger, app = Browser(), host.app
    page = begin(stranger, app, **ASK)
    stranger.get(page_of_request(page))
    stranger.post(page_of_request(page), {"act": "allow"})
    assert begin(stranger, app, **ASK, prompt="none").status_code == 400
    Browser().post(AUTHORIZE, {"client_id": host.client_id})
    assert push(app, **ASK).json()["error"] == "invalid_client"
    client = App(app)
    assert client.redeem("x").error == "invalid_client"
    assert client.refresh("x").error == "invalid_client"
    assert client.revoke("x").error == "invalid_client"
    assert client.post("/oauth/device_authorization", scope="openid").error == "invalid_client"

    assert (host.count, Client.objects.count()) == (0, 0)


def test_strangers_cannot_store_waiting_requests_without_bound(host, settings, clock):
    set_up(settings, limits_scale=0.02)
    for _ in range(10):
        Browser().get(address(host.app, **ASK))
    assert UnreadRequest.objects.count() < 10

    clock.advance(hours=1)
    call_command("prune")

    assert not UnreadRequest.objects.exists()


def test_a_stranger_stores_no_huge_waiting_request(host):
    asked = ASK | {f"p{i}": "x" * 8190 for i in range(3)}
    left = LONGEST_QUERY - len(urlencode(query(host.app, **asked))) - len("&last=")

    for length, status in ((left + 1, 400), (left, 303)):
        answer = Browser().get(address(host.app, **asked, last="x" * length))
        assert (answer.status_code, UnreadRequest.objects.count()) == (status, int(status == 303))


def test_the_limit_of_a_network_stops_nobody_there_who_uses_a_known_app(
    host, browser, clock, settings
):
    """Withstands a flood."""
    bob = signed_in(make_user("bob"))
    set_up(settings, limits_scale=1 / METADATA_NETWORK.burst)
    assert begin(browser, host.app, **ASK).status_code == 200
    Client.objects.update(document_due_at=clock.now())

    unknown = Client(pk=host.url("/none.json", HOST))
    assert bob.get(address(unknown, **ASK)).status_code == 429
    assert begin(bob, host.app, **ASK).status_code == 200
    assert host.count == 1


def test_a_page_of_another_site_cannot_break_the_open_requests_of_a_browser(host, browser, clock):
    """Withstands a hostile website.

    Browsers send no cookies with its POST, but would store a cookie of the answer.
    """
    page = begin(browser, host.app, **ASK)
    Client.objects.update(document_due_at=clock.now())

    answer = Browser().post(AUTHORIZE, query(host.app, **ASK))

    assert answer["Location"] == address(host.app, **ASK)
    browser.cookies.update(answer.cookies)
    assert "code" in result(allow(browser, page))


def test_another_browser_cannot_continue_a_request_that_waits(host, browser):
    page = begin(Browser(), host.app, **ASK)

    assert browser.get(page_of_request(page)).status_code == 400
    assert host.count == 0


@proves("V3.5.8")
def test_images_and_frames_of_other_sites_cause_no_request(host, browser):
    for kind in ("image", "iframe", "empty"):
        answer = browser.get(address(host.app, **ASK), headers={"Sec-Fetch-Dest": kind})
        assert answer.status_code == 400

    assert (host.count, UnreadRequest.objects.count()) == (0, 0)


def test_a_person_causes_few_requests(host, browser, clock):
    """Withstands a flood: the site reads many documents of apps."""
    host.answers["/client.json"] = say(404)

    statuses = [browser.get(address(host.app, **ASK)).status_code for _ in range(12)]

    assert statuses == [400] * METADATA_PERSON.burst + [429] * 2
    assert host.count == METADATA_PERSON.burst


def test_an_answer_that_is_no_document_of_the_app_is_refused(host, browser, settings):
    set_up(settings, limits_scale=1000)
    valid = json.dumps(host.members).encode()
    for body, headers in (
        *((body, JSON) for body in (b"", b"{", b"[]", b"\xff", b"[" * 5000)),
        *((valid + b" " * 5120, JSON), (valid, {}), (valid, {"Content-Type": "application/jsonx"})),
        (b'{"client_id": ' + b"9" * 5000 + b"}", JSON),
    ):
        host.answers["/client.json"] = say(200, body, **headers)
        assert refuses(host, browser), body[:40]
        is_long = "It has more than 5120 bytes." in browser.get(address(host.app, **ASK)).text
        assert is_long == (len(body) > 5120)
    elsewhere = {"Location": host.url("/elsewhere.json", HOST)}
    host.answers["/elsewhere.json"] = say(200, valid, **JSON)
    for status in (204, 302, 304, 404, 500):
        host.answers["/client.json"] = say(status, valid, **JSON, **elsewhere)
        assert refuses(host, browser), status


@pytest.mark.parametrize(
    "members",
    [
        {"client_id": "https://app.localhost/client.json"},
        {"client_secret": "x"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": public_of(key_of("ES256"))},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://mallory.example/k"},
        {"client_name": "Rea\u202eder"},
        {"redirect_uris": ["javascript:alert(1)", "http://app.example.org/", "app:/", 5]},
        {"redirect_uris": REDIRECT},
    ],
)
def test_a_document_that_takes_more_than_it_may_is_refused(host, browser, members):
    host.members |= members

    assert refuses(host, browser)


def test_a_document_cannot_give_its_app_more_rights(host, browser):
    """Withstands a malicious app."""
    host.members |= {
        "scope": "openid groups profile:write activity:read",
        "is_first_party": True,
        "client_uri": "https://mallory.example/",
        "policy_uri": "javascript:alert(1)",
        "backchannel_logout_uri": "https://mallory.example/logout",
        "tos_uri": host.url("/terms", HOST),
        "jwks_uri": 5,
    }

    page = begin(browser, host.app, **ASK, scope="openid")

    app = host.app
    assert (app.scope, app.is_first_party) == ("openid", False)
    assert (app.backchannel_logout_uri, app.terms_url) == ("", host.url("/terms", HOST))
    assert "mallory.example" not in page.text
    assert "javascript" not in page.text
    for scope in ("openid groups", "openid profile:write"):
        assert "invalid_scope" in browser.get(address(host.app, **ASK, scope=scope)).text


def test_an_app_cannot_hide_its_host_behind_the_name_of_another_one(host, browser):
    """Withstands a malicious app."""
    host.members["client_name"] = "<b>My bank</b> (verified)"

    page = begin(browser, host.app, **ASK)

    assert f"<h1>Sign in to <bdi>{HOST}:{host.port}</bdi></h1>" in page.text
    assert page.text.count("My bank") == 1
    assert "which calls itself “<bdi>&lt;b&gt;My bank&lt;/b&gt; (verified)</bdi>”" in page.text
    assert f"<title>Sign in to {HOST}:{host.port}" in page.text


def test_an_app_that_changes_its_name_is_not_verified_any_more(host, alice, clock):
    begin(signed_in(alice), host.app, **ASK)
    Client.objects.update(is_verified=True)
    assert "Sign in to <bdi>Reader</bdi>" in begin(signed_in(alice), host.app, **ASK).text
    host.members["client_name"] = "My bank"
    clock.advance(days=1)

    page = begin(signed_in(alice), host.app, **ASK)

    assert "Not verified" in page.text
    assert f"<h1>Sign in to <bdi>{HOST}:{host.port}</bdi></h1>" in page.text


def test_a_host_that_the_operator_does_not_name_any_more_gets_nothing(host, browser, settings):
    """Withstands a malicious app."""
    page = begin(browser, host.app, **ASK, scope="openid offline_access")
    code = result(allow(browser, page))["code"]
    page = begin(browser, host.app, **ASK)
    set_up(settings, client_metadata_hosts=())

    assert allow(browser, page).status_code == 403
    assert begin(browser, host.app, **ASK).status_code == 400
    assert App(host.app).redeem(code, redirect_uri=REDIRECT).error == "invalid_client"
    assert push(host.app, **ASK).json()["error"] == "invalid_client"


def test_an_app_of_a_removed_host_signs_nobody_out_and_is_not_told_of_sessions_that_end(
    host, alice, browser, settings, clock
):
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


def test_a_document_cannot_take_the_identifiers_of_another_host(host, alice, clock):
    """Withstands a malicious app."""
    mine, others = [REDIRECT], ["https://shop.example.org/callback"]

    def changed(kind, uris):
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


def test_a_redirect_uri_that_the_document_has_lost_gets_no_code(host, browser, clock):
    """Withstands a malicious app."""
    page = begin(browser, host.app, **ASK)
    host.members["redirect_uris"] = ["http://127.0.0.1/callback"]
    Client.objects.update(document_due_at=clock.now())

    assert (allow(browser, page).status_code, Connection.objects.count()) == (400, 0)


def test_a_document_that_turns_wrong_is_refused_though_it_was_read_before(host, alice, clock):
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
    host, browser, clock, status
):
    """Withstands a race."""
    page, now = begin(browser, host.app, **ASK), clock.now()
    age = documents.LAST * (status == 503)
    Client.objects.update(document_due_at=now, document_read_at=now - age)
    host.answers["/client.json"] = say(status)
    assert begin(browser, host.app, **ASK).status_code == 400
    documents._begin(host.app)

    assert begin(browser, host.app, **ASK).status_code == 400
    assert allow(browser, page).status_code == 400


def test_an_unused_app_is_pruned_unless_it_is_new_or_an_operator_has_decided_something(db, clock):
    now, second, due = clock.now(), timedelta(seconds=1), "document_due_at"
    old = {"document_read_at": now - documents.UNUSED, due: now, "is_verified": False}
    kept = (
        *({"source": Client.Source.OPERATOR}, {due: now + second}, {"is_verified": True}),
        *({"document_read_at": old["document_read_at"] + second}, {"disabled_at": now}),
        *({"factor": "passkey"}, {"required_group": Group.objects.create(name="Editors")}),
    )
    for number, fields in enumerate(({}, *kept)):
        given = {"source": Client.Source.DOCUMENT} | old | fields
        Client.objects.create(pk=f"https://app.localhost/{number}", **given)

    assert documents.prune() == 1
    assert not Client.objects.filter(pk="https://app.localhost/0").exists()


def test_an_app_of_an_operator_is_never_taken_over_by_a_document(host, browser):
    """Withstands a malicious app.

    Only ``source`` separates them, so the form of the IDs must, too.
    """
    app = make_app()
    host.members["client_id"] = app.pk

    assert browser.get(address(host.app, **ASK)).status_code == 400
    assert Client.objects.get().source == Client.Source.OPERATOR

"""Apps that describe themselves by a client ID metadata document."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.test import Client as Browser

from accounts.activity.models import Activity
from accounts.common import http_client
from accounts.oauth.clients import documents, uris
from accounts.oauth.clients.models import Client
from accounts.oauth.models import Connection
from tests.support.administration import REASON
from tests.support.api import call, claims_of, get_tokens
from tests.support.apps import LIST, document
from tests.support.authorize import VERIFIER, address, allow, begin, page_of_request, result
from tests.support.client_keys import KeyedApp, publish
from tests.support.document_host import HOST, REDIRECT
from tests.support.forgeries import key_of
from tests.support.invitations import superuser
from tests.support.oauth_client import HERE, App
from tests.support.receiver import say
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.steps import LOGIN, sign_in

SERVICE = "https://mcp.example.org/mcp"
ASK = {"redirect_uri": REDIRECT}


def connect(host, browser, **asked):
    """Sign in to the app, and return what its token endpoint gives it."""
    asked = ASK | asked
    code = result(allow(browser, begin(browser, host.app, **asked)))["code"]
    app = App(host.app)
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    answer = app.post("/oauth/token", **form, redirect_uri=asked["redirect_uri"])
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.body
    return found


def test_an_app_signs_people_in_by_its_document(host, browser):
    assert document()["client_id_metadata_document_supported"]

    given = connect(host, browser, scope="openid profile email offline_access")

    assert claims_of(given["id_token"])["aud"] == host.client_id
    assert App(host.app).refresh(given["refresh_token"]).status == 200
    app = host.app
    assert (app.name, app.source, app.is_public) == ("Reader", Client.Source.DOCUMENT, True)
    assert (app.is_verified, app.is_first_party, app.audiences) == (False, False, [])
    assert host.count == 1


def test_an_app_may_authenticate_by_the_keys_at_its_jwks_uri(host, browser, monkeypatch):
    # The name of the host stands for a public one.
    monkeypatch.setattr(uris, "names_private_host", lambda _uri: False)
    key = key_of("ES256")
    publish(host, key)
    host.members |= {"token_endpoint_auth_method": "private_key_jwt"}
    host.members["jwks_uri"] = host.url("/keys", HOST)
    code = result(allow(browser, begin(browser, host.app, **ASK)))["code"]
    form = {"code": code, "grant_type": "authorization_code", "code_verifier": VERIFIER} | ASK

    assert host.app.redirect_uris == [REDIRECT]
    assert App(host.app).post("/oauth/token", **form).error == "invalid_client"
    assert KeyedApp(host.app, key=key).post("/oauth/token", **form).status == 200


def test_without_the_setting_no_document_is_read(host, browser, settings):
    set_up(settings, client_metadata_hosts=())

    answer = browser.get(address(host.app, **ASK))

    assert (answer.status_code, host.count) == (400, 0)
    assert not document()["client_id_metadata_document_supported"]


def test_the_request_of_an_unknown_app_survives_the_sign_in(host, alice):
    seed, browser, long = enrolled(alice), Browser(), "x" * 8000

    page = begin(browser, host.app, **ASK, state=long, login_hint="alice", ui_locales="de")
    assert page.url.startswith(f"{LOGIN}?next=/oauth/continue/")
    text = browser.get(page.url).text
    assert f"<bdi>{HOST}" in text
    assert 'value="alice"' in text
    assert "Anmelden" in text
    here = page_of_request(page)
    sign_in(browser, "alice", next=here)
    assert host.count == 0
    answer = browser.post("/accounts/2fa/challenge/", {"code": code_of(seed)})
    assert answer.url == here
    consent = browser.get(browser.get(here)["Location"])

    assert result(allow(browser, consent))["state"] == long
    assert host.count == 1


def test_a_sign_in_after_the_request_counts_for_prompt_login(host, alice, clock):
    browser = Browser()
    page = begin(browser, host.app, **ASK, prompt="login")
    clock.advance(seconds=5)
    sign_in(browser, "alice")
    clock.advance(seconds=5)

    consent = browser.get(browser.get(page_of_request(page))["Location"])

    assert "code" in result(allow(browser, consent))


def test_people_are_asked_each_time_and_see_the_host_of_the_document(host, browser):
    connect(host, browser)

    page = begin(browser, host.app, **ASK)

    there = f"<bdi>{HOST}:{host.port}</bdi>"
    assert f"Sign in to {there}" in page.text
    assert "Not verified" in page.text
    assert "It calls itself “<bdi>Reader</bdi>”" in page.text
    assert "Your data goes to another website, <bdi>app.example.org</bdi>." in page.text
    page = begin(browser, host.app, redirect_uri="http://localhost:5000/callback")
    assert "Any program on your device can claim to be" in page.text
    assert there in browser.get("/accounts/apps/").text
    assert Activity.objects.get(kind="app_connected").detail == f"{HOST}:{host.port}"


def test_a_document_is_read_again_when_its_time_is_over(host, alice, clock):
    ages = {"": 3600, "max-age=10": 300, "no-store": 300, "max-age=9999999": 86400}
    for cache_control, seconds in (ages | {"public, max-age=7200, x": 7200}).items():
        host.headers["Cache-Control"] = cache_control
        clock.advance(days=1)
        for pause, count in ((0, 1), (seconds - 1, 1), (1, 2)):
            clock.advance(seconds=pause)
            begin(signed_in(alice), host.app, **ASK)
            assert host.count == count, cache_control
        host.got.clear()


def test_a_changed_document_changes_the_app_but_not_what_belongs_to_the_operator(
    host, alice, clock
):
    begin(signed_in(alice), host.app, **ASK)
    Client.objects.update(is_verified=True, factor="second_factor")
    new = f"{REDIRECT}/new"
    host.members |= {"redirect_uris": [new], "scope": "email"}
    clock.advance(days=1)

    page = begin(signed_in(alice), host.app, redirect_uri=new, scope="email")

    assert page.url.startswith("/accounts/2fa/totp/setup/")
    app = host.app
    assert (app.redirect_uris, app.scope) == ([new], "email")
    assert (app.is_verified, app.factor) == (True, "second_factor")
    assert begin(signed_in(alice), host.app, **ASK).status_code == 400


def test_of_several_requests_one_reads_the_document_again(host, alice, clock):
    begin(signed_in(alice), host.app, **ASK)
    clock.advance(days=1)
    former = host.app

    assert documents._begin(former)

    assert not documents._begin(former)
    assert documents.read(host.client_id, alice, HERE) == former
    assert host.count == 1


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_a_host_that_does_not_answer_changes_nothing_for_two_days(host, alice, clock, status):
    """Withstands a failure."""
    begin(signed_in(alice), host.app, **ASK)
    host.answers["/client.json"] = say(status)
    clock.advance(hours=47)
    assert begin(signed_in(alice), host.app, **ASK).status_code == 200
    assert host.count == 2

    clock.advance(hours=1)
    answer = begin(signed_in(alice), host.app, **ASK)

    assert (answer.status_code, f"with the status {status}" in answer.text) == (400, True)


def test_while_too_many_documents_are_read_the_former_one_is_used_for_two_days(
    host, alice, clock, monkeypatch
):
    """Withstands a flood."""
    begin(signed_in(alice), host.app, **ASK)
    monkeypatch.setattr(http_client, "_take", lambda _slots: False)

    for status in (200, 429):
        clock.advance(days=1)
        assert begin(signed_in(alice), host.app, **ASK).status_code == status


def test_an_operator_disables_the_app_for_good_and_decides_a_few_fields_only(host, alice, clock):
    given = connect(host, signed_in(alice), scope="openid offline_access")
    carol = superuser()[1]
    quoted = host.client_id.replace(":", "_3A").replace("/", "_2F")
    assert host.client_id in carol.get(f"{LIST}{quoted}/change/").text
    form = {"name": "Bank", "redirect_uris": "https://mallory.example/", "is_first_party": "on"}
    form |= {"is_verified": "on", "scope": "openid", "reason": REASON}
    answer = carol.post(f"{LIST}{quoted}/change/", form)
    assert answer.status_code == 302
    app = host.app
    assert (app.name, app.is_verified, app.is_first_party) == ("Reader", True, False)

    disable = {"enabled": "no", "reason": REASON}
    assert carol.post(f"{LIST}{quoted}/enabled/", disable).status_code == 302
    clock.advance(days=2)
    answer = begin(signed_in(alice), host.app, **ASK)

    assert (answer.status_code, host.count) == (403, 1)
    assert App(host.app).refresh(given["refresh_token"]).error == "invalid_client"


def test_an_app_that_nobody_connected_is_pruned(host, alice, clock):
    """Withstands a flood."""
    other = {"client_id": host.url("/other", HOST)}
    host.answers["/other"] = host.answers["/client.json"]
    connect(host, signed_in(alice))
    host.members |= other
    begin(signed_in(alice), Client(pk=other["client_id"]), **ASK)
    assert Client.objects.count() == 2
    clock.advance(days=3, hours=2)

    call_command("prune")

    assert Client.objects.get() == Connection.objects.get().client == host.app


def test_tokens_are_for_the_services_that_the_operator_names(host, browser, settings):
    ask = ASK | {"resource": SERVICE}
    set_up(settings, token_audiences=(SERVICE,))
    begin(browser, host.app, **ASK)
    assert "invalid_target" in browser.get(address(host.app, **ask)).text
    set_up(settings, client_metadata_audiences=(SERVICE,))

    page = begin(browser, host.app, **ask, scope=None)
    assert f"will use <bdi>{SERVICE}</bdi> on your behalf" in page.text
    given = connect(host, browser, resource=SERVICE, scope="openid offline_access")

    assert claims_of(given["access_token"])["aud"] == SERVICE
    Client.objects.update(sector="app.example.org")
    assert "invalid_target" in browser.get(address(host.app, **ask)).text
    Client.objects.update(sector="")
    set_up(settings, client_metadata_audiences=())
    assert App(host.app).refresh(given["refresh_token"]).error == "invalid_grant"


def test_a_person_disconnects_the_app_on_the_page_and_by_the_api(host, alice, browser):
    connect(host, browser)
    there = re.findall(r'href="(/accounts/apps/[^"]+)"', browser.get("/accounts/apps/").text)[0]
    assert f"Disconnect <bdi>{HOST}" in browser.get(there).text

    assert browser.post(there).status_code == 302

    connect(host, browser)
    token = get_tokens()["access"]
    assert call(f"apps/{quote(host.client_id, '')}/", method="DELETE", token=token).status == 204
    assert not Connection.objects.exists()

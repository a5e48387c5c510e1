"""Apps that register themselves (RFC 7591) or describe themselves by a document."""

import json
import re
from urllib.parse import quote

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.common import http_client
from accounts.oauth.clients import documents, registration, uris
from accounts.oauth.clients import metadata as client_metadata
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.metadata import DEVICE
from accounts.oauth.clients.models import Client, RegistrationToken
from accounts.oauth.models import Connection
from accounts.oauth.protocol import OAuthError
from tests.support.administration import REASON
from tests.support.api import call, claims_of, get_tokens
from tests.support.apps import LIST, WEB, document, run, the_app
from tests.support.authorize import address, allow, begin, page_of_request, result
from tests.support.client_keys import KeyedApp, public_of, publish
from tests.support.document_host import HOST, REDIRECT
from tests.support.forgeries import key_of
from tests.support.invitations import superuser
from tests.support.oauth_client import HERE, App
from tests.support.receiver import say
from tests.support.registration import VALID, new_token, self_register
from tests.support.second_factor import code_of, enrolled
from tests.support.signin import set_up, signed_in
from tests.support.steps import LOGIN, mail_to, make_user, sign_in

TOKENS = "/admin/oauth/registrationtoken/"
SERVICE = "https://wiki.example.org"


def test_an_app_registers_itself_and_is_told_all_that_is_stored(settings):
    set_up(settings, token_audiences=(SERVICE,))
    made = run("registration_token", "--scope", "openid", "email", "--audience", SERVICE)
    asked = {
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", DEVICE],
        "client_uri": "https://paperless.example.org",
        "scope": "email openid groups",
        "id_token_signed_response_alg": "ES256",
    }

    answer = self_register(made["registration_token"], **asked)

    app, given = the_app(), answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    assert clients.authenticate(given.pop("client_id"), given.pop("client_secret")) == app
    assert given == VALID | asked | {
        "client_id_issued_at": int(app.created_at.timestamp()),
        "client_secret_expires_at": 0,
        "scope": "openid email",
        "response_types": ["code"],
        "subject_type": "public",
        "dpop_bound_access_tokens": False,
        "require_pkce": True,
    }
    assert (app.scope, app.audiences, app.is_device) == ("openid email", [SERVICE], True)


@pytest.mark.parametrize("method", ["none", "private_key_jwt"])
def test_an_app_without_a_secret_gets_none(method):
    jwks = {"jwks": public_of(key_of("ES256"))} if method == "private_key_jwt" else {}

    given = self_register(new_token(), token_endpoint_auth_method=method, **jwks).json()

    assert given["token_endpoint_auth_method"] == method
    assert given.get("jwks") == jwks.get("jwks") == the_app().jwks
    assert not {"client_secret", "client_secret_expires_at"} & given.keys()


def test_a_device_is_told_that_it_has_no_code_flow():
    types = [DEVICE, "refresh_token"]
    asked = {"redirect_uris": None, "grant_types": types, "token_endpoint_auth_method": "none"}

    given = self_register(new_token(scope="openid offline_access"), **asked).json()

    assert (given["grant_types"], given["response_types"]) == (types, [])


def test_a_token_registers_as_many_apps_as_it_was_made_for_until_it_expires(clock):
    """Withstands a malicious app."""
    text = run("registration_token", "--clients", "2", "--days", "3")["registration_token"]

    assert [self_register(text).status_code for _ in range(3)] == [201, 201, 401]
    late = new_token(days=3)
    clock.advance(days=3)
    assert self_register(late).status_code == 401
    assert (registration.find_token(text), registration.find_token(late)) == (None, None)
    assert Client.objects.count() == 2
    call_command("prune")
    assert not RegistrationToken.objects.exists()


def test_of_two_simultaneous_uses_or_revocations_of_a_token_one_counts(monkeypatch):
    """Withstands a race."""
    superuser()
    text = new_token()
    used, revoked = registration.find_token(text), registration.find_token(new_token())
    monkeypatch.setattr(registration, "find_token", lambda _text: used)

    assert [self_register(text).status_code for _ in range(2)] == [201, 401]
    assert [registration.revoke(revoked, Actor()) for _ in range(2)] == [True, False]

    assert Client.objects.count() == 1
    assert Activity.objects.filter(kind="registration_token_revoked").count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--clients", "0"], ["--clients", "1001"], ["--days", "0"], ["--days", "366"]),
        *(["--scope", "admin:read"], ["--audience", "https://other.example.org"]),
    ],
)
def test_the_command_refuses_tokens_without_bounds(arguments, clock):
    """Withstands an operator's mistake."""
    for count, days in (("1", "1"), ("1000", "365")):
        run("registration_token", "--clients", count, "--days", days)
    RegistrationToken.objects.all().delete()
    with pytest.raises(CommandError):
        run("registration_token", *arguments)
    assert not RegistrationToken.objects.exists()


def test_superusers_see_and_revoke_tokens_and_find_the_apps_of_one():
    browser = superuser()[1]
    text, other = new_token(2, audiences=("https://a.example", "https://b.example")), new_token()
    self_register(text)
    token = RegistrationToken.objects.get(clients_left=1, pk=text[18:34])

    listed = browser.get(TOKENS).text
    assert str(token) in listed
    assert "https://a.example, https://b.example" in listed
    assert str(token) in browser.get(f"{TOKENS}{token.pk}/delete/").text
    assert "Enter a reason." in browser.post(f"{TOKENS}{token.pk}/delete/").text
    assert browser.post(f"{TOKENS}{token.pk}/delete/", {"reason": REASON}).url == TOKENS

    assert self_register(text).status_code == 401
    assert self_register(other).status_code == 201
    first = Client.objects.get(registered_with=str(token))
    assert first.pk in browser.get(LIST, {"q": str(token)}).text
    rows = Activity.objects.filter(user__username="carol", detail__contains=text[:22])
    assert list(rows.order_by("id").values_list("kind", "detail")) == [
        ("registration_token_made", text[:22]),
        ("app_self_registered", f"Paperless, {text[:22]}"),
        ("registration_token_revoked", text[:22]),
    ]
    assert mail_to("carol").subject == "A registration token was revoked"


def test_an_app_that_nobody_signs_in_to_expires_after_seven_days(clock):
    """Withstands a malicious app."""
    self_register(new_token())
    clock.advance(days=7, seconds=-1)
    alice = signed_in(make_user("alice"))
    page = begin(alice, the_app())

    clock.advance(seconds=1)

    assert result(allow(alice, page)) == {}
    assert begin(alice, the_app()).status_code == 400
    assert not Connection.objects.exists()
    assert registration.prune_clients() == 0
    clock.advance(hours=1)
    assert registration.prune_clients() == 1
    assert not Client.objects.exists()


def test_an_app_that_somebody_has_signed_in_to_stays(clock):
    self_register(new_token())
    app, alice = the_app(), signed_in(make_user("alice"))
    self_register(new_token(), client_name="Nobody's")
    assert result(allow(alice, begin(alice, app)))["code"]

    clock.advance(days=400)
    call_command("prune")

    assert (the_app(), the_app().expires_at) == (app, None)


def test_the_endpoint_reads_only_posted_json_with_a_token():
    assert Browser().get("/oauth/register").status_code == 405
    bare = Browser().post("/oauth/register", VALID, content_type="application/json")
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_token")
    assert bare["WWW-Authenticate"] == "Bearer"
    sent = {"headers": {"Authorization": f"Bearer {new_token()}"}, "content_type": "text/plain"}
    text = Browser().post("/oauth/register", json.dumps(VALID), **sent)
    assert (text.status_code, text.json()["error"]) == (400, "invalid_client_metadata")
    wrong = self_register(new_token()[:-1])
    assert wrong["WWW-Authenticate"] == 'Bearer error="invalid_token"'


SITE = "https://paperless.example.org"
ALL = "openid profile email offline_access"
KEYS = public_of(key_of("ES256"))


MAY_GRANT = tuple(ALL.split())


def read(metadata, may_grant=MAY_GRANT):
    return client_metadata.read(metadata, may_grant)


def error_of(**members):
    with pytest.raises(OAuthError) as caught:
        read(VALID | members)
    return caught.value.error


def test_all_members_become_the_properties_of_the_app():
    client = read(
        VALID
        | {
            "post_logout_redirect_uris": [f"{WEB}/bye"],
            "grant_types": ["authorization_code", "refresh_token", DEVICE],
            "response_types": ["code"],
            "token_endpoint_auth_method": "private_key_jwt",
            "scope": "email openid offline_access",
            "jwks": KEYS,
            "client_uri": SITE,
            "policy_uri": f"{SITE}/privacy",
            "tos_uri": f"{SITE}/terms",
            "backchannel_logout_uri": f"{WEB}/logout",
            "dpop_bound_access_tokens": True,
        }
    )

    assert (client.name, client.redirect_uris) == ("Paperless", [WEB])
    assert client.logout_uris == [f"{WEB}/bye"]
    assert (client.scope, client.jwks) == ("openid email offline_access", KEYS)
    assert (client.is_device, client.is_public, client.requires_dpop) == (True, False, True)
    assert client.backchannel_logout_uri == f"{WEB}/logout"
    urls = (client.homepage, client.privacy_url, client.terms_url)
    assert urls == (SITE, f"{SITE}/privacy", f"{SITE}/terms")


def test_an_app_can_publish_its_keys_instead():
    client = read(VALID | {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": WEB})

    assert (client.jwks_uri, client.jwks, client.has_secret) == (WEB, None, False)
    assert read(VALID | {"jwks_uri": WEB}).has_secret


def test_an_app_that_says_little_gets_the_defaults_of_the_rfc():
    client = read(VALID)

    assert (client.has_secret, client.is_device, client.requires_dpop) == (True, False, False)
    assert client.scope == "openid profile email"
    assert read(VALID | {"grant_types": ["authorization_code", "refresh_token"]}).scope == ALL
    assert read(VALID | {"token_endpoint_auth_method": "none"}).is_public
    assert read(VALID | {"subject_type": "pairwise"}).sector == "paperless.example.org"
    device = read({"client_name": "TV", "grant_types": [DEVICE], "redirect_uris": [WEB]})
    assert (device.redirect_uris, device.is_device) == ([], True)
    assert read(VALID | {"scope": "x" * uris.LONGEST}).scope == "openid"


def test_an_app_gets_no_more_rights_than_it_may_have_whatever_it_says():
    """Withstands a malicious app."""
    client = read(
        VALID
        | {
            "client_id": "another",
            "scope": "read write admin:read groups profile:write offline_access",
            "audiences": ["https://shop.example.org"],
            "resource": "https://shop.example.org",
            "is_first_party": True,
            "is_verified": True,
            "backchannel_logout_is_private": True,
            "logo_uri": "https://mallory.example/logo.png",
            "source": "operator",
        }
    )

    assert client.scope == "openid"
    assert (client.audiences, client.resource) == ([], "")
    for field in ("is_first_party", "is_verified", "backchannel_logout_is_private"):
        assert not getattr(client, field)
    assert client.pk != "another"
    assert read(VALID | {"scope": "groups email"}, ["openid", "groups"]).scope == "groups"


PRIVATE = ["backchannel_logout_is_private", "jwks_uri_is_private"]


@pytest.mark.parametrize("source", [Client.Source.DOCUMENT, Client.Source.REGISTRATION])
@pytest.mark.parametrize("field", ["is_first_party", *PRIVATE])
def test_nobody_can_give_an_app_that_described_itself_the_rights_of_an_operators_app(source, field):
    """Withstands a member of staff."""
    client = read(VALID)
    client.source = source
    client.clean()
    setattr(client, field, True)

    with pytest.raises(ValidationError):
        client.clean()


@pytest.mark.parametrize(
    "uris",
    [
        *([], None, WEB, {"0": WEB}, [5], ["\ud800"], [f"{WEB}\0"], [WEB] * 49 + [""]),
        *([f"{WEB}/{n}" for n in range(51)], ["http://127.0.0.1/"], ["javascript:alert(1)"]),
    ],
)
def test_redirect_uris_that_an_operator_could_not_register_are_refused(uris):
    assert error_of(redirect_uris=uris) == "invalid_redirect_uri"


SHOP, KEYED = "https://shop.example.org/", {"token_endpoint_auth_method": "private_key_jwt"}
PAIRWISE, LONG = {"subject_type": "pairwise"}, "x" * (uris.LONGEST + 1)


WRONG = [
    *({"client_name": name} for name in (None, 5, "x" * 61, "Pa\u202eper", "\ud800")),
    *({"client_uri": uri} for uri in ("javascript:alert(1)", "https://a\0b")),
    *({"policy_uri": 5}, {"tos_uri": "http://a.example"}, {"scope": ["openid"]}),
    *({"post_logout_redirect_uris": uris} for uris in (["javascript:alert(1)"], WEB, [None])),
    *({"grant_types": types} for types in (["implicit"], "x", [5])),
    *({"response_types": types} for types in (["token"], "code")),
    *({"token_endpoint_auth_method": m} for m in ("client_secret_jwt", 5)),
    *(KEYED, KEYED | {"jwks_uri": WEB, "jwks": KEYS}, KEYED | {"jwks": {"keys": []}}),
    *(KEYED | {"jwks": None}, {"scope": "openid\0"}, {"scope": LONG}),
    *(KEYED | {"jwks_uri": uri} for uri in ("https://10.0.0.1/", "http://a.example/", "", 5)),
    *({"subject_type": "x"}, PAIRWISE | {"redirect_uris": [WEB, SHOP]}),
    *(PAIRWISE | {"sector_identifier_uri": SHOP}, PAIRWISE | {"grant_types": [DEVICE]}),
    *({"dpop_bound_access_tokens": "false"}, {"backchannel_logout_uri": "https://10.0.0.1/"}),
]


def test_metadata_with_a_wrong_member_is_refused():
    for members in WRONG:
        assert error_of(**members) == "invalid_client_metadata", members


MCP_SERVER = "https://mcp.example.org/mcp"
ASK = {"redirect_uri": REDIRECT}


def connect(host, browser, **asked):
    """Sign in to the app, and return what its token endpoint gives it."""
    code = result(allow(browser, begin(browser, host.app, **ASK, **asked)))["code"]
    answer = App(host.app).redeem(code, **ASK)
    assert answer.status == 200, answer.body
    return answer


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

    assert host.app.redirect_uris == [REDIRECT]
    assert App(host.app).redeem(code, **ASK).error == "invalid_client"
    assert KeyedApp(host.app, key=key).redeem(code, **ASK).status == 200


def test_without_the_setting_no_document_is_read(host, browser, settings):
    set_up(settings, client_metadata_hosts=())

    answer = browser.get(address(host.app, **ASK))

    assert (answer.status_code, host.count) == (400, 0)
    assert not document()["client_id_metadata_document_supported"]


def test_the_request_of_an_unknown_app_survives_the_sign_in(host, alice):
    seed, browser, long = enrolled(alice), Browser(), "x" * 8000

    for hint in ("", "a" * 300):
        other = begin(Browser(), host.app, **ASK, login_hint=hint)
        text = other.client.get(other.url).text
        assert [f'"{"a" * length}"' in text for length in (254, 255)] == [bool(hint), False]
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
    assert "which calls itself “<bdi>Reader</bdi>”" in page.text
    assert "Your data goes to another website, <bdi>app.example.org</bdi>." in page.text
    page = begin(browser, host.app, redirect_uri="http://localhost:5000/callback")
    assert "Any program on your device can claim to be" in page.text
    assert there in browser.get("/accounts/apps/").text
    assert Activity.objects.get(kind="app_connected").detail == f"{HOST}:{host.port}"


def test_a_document_is_read_again_when_its_time_is_over(host, alice, clock):
    ages = {"": 3600, "max-age=10": 300, "no-store": 300, "max-age=9999999": 86400}
    for cache_control, seconds in (
        ages | {"no-cache": 300, "public, max-age=7200, x": 7200}
    ).items():
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
    times = {"document_read_at": former.document_read_at, "document_due_at": clock.now()}
    former.document_due_at = clock.now()
    former.save()
    other = Client.objects.create(pk="https://app.localhost/other", **times)

    assert documents._begin(former)
    assert documents._begin(other)

    assert not documents._begin(former)
    assert documents.read(host.client_id, alice, HERE) == former
    assert host.count == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500])
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
    clock.advance(days=2, hours=23)
    call_command("prune")
    assert Client.objects.count() == 2
    clock.advance(hours=3)

    call_command("prune")

    assert Client.objects.get() == Connection.objects.get().client == host.app


def test_tokens_are_for_the_services_that_the_operator_names(host, browser, settings):
    ask = ASK | {"resource": MCP_SERVER}
    set_up(settings, token_audiences=(MCP_SERVER,))
    begin(browser, host.app, **ASK)
    assert "invalid_target" in browser.get(address(host.app, **ask)).text
    set_up(settings, client_metadata_audiences=(MCP_SERVER,))

    page = begin(browser, host.app, **ask, scope=None)
    assert f"will use <bdi>{MCP_SERVER}</bdi> on your behalf" in page.text
    given = connect(host, browser, resource=MCP_SERVER, scope="openid offline_access")

    assert claims_of(given["access_token"])["aud"] == MCP_SERVER
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

"""Apps that register themselves (RFC 7591), their metadata, and the documents of the provider."""

from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import resolve

from accounts.activity.models import Activity
from accounts.oauth.clients import metadata as client_metadata
from accounts.oauth.clients import services as clients
from accounts.oauth.clients.metadata import DEVICE
from accounts.oauth.clients.models import Client, RegistrationToken
from accounts.oauth.models import Connection
from accounts.oauth.protocol import OAuthError
from accounts.users.models import User
from tests.support.administration import REASON
from tests.support.api import claims_of
from tests.support.apps import LIST, OAUTH, OPENID, WEB, document, run, the_app
from tests.support.authorize import allow, begin, result
from tests.support.client_keys import public_of
from tests.support.forgeries import key_of
from tests.support.invitations import superuser
from tests.support.oauth_client import EVERYTHING, browser_of, new_app
from tests.support.registration import VALID, new_token, self_register
from tests.support.signin import set_up, signed_in
from tests.support.standards import proves
from tests.support.steps import mail_to, make_user

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


def test_a_token_registers_as_many_apps_as_it_was_made_for_until_it_expires(clock):
    """Withstands a malicious app."""
    text = run("registration_token", "--clients", "2", "--days", "3")["registration_token"]

    assert [self_register(text).status_code for _ in range(3)] == [201, 201, 401]
    late = new_token(days=3)
    clock.advance(days=3)
    assert self_register(late).status_code == 401
    assert Client.objects.count() == 2
    call_command("prune")
    assert not RegistrationToken.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--clients", "0"], ["--clients", "1001"], ["--days", "0"], ["--days", "366"]),
        *(["--scope", "admin:read"], ["--audience", "https://other.example.org"]),
    ],
)
def test_the_command_refuses_tokens_without_bounds(arguments):
    """Withstands an operator's mistake."""
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
    clock.advance(hours=1)
    call_command("prune")
    assert not Client.objects.exists()


def test_an_app_that_somebody_has_signed_in_to_stays(clock):
    self_register(new_token())
    alice = signed_in(make_user("alice"))
    assert result(allow(alice, begin(alice, the_app())))["code"]

    clock.advance(days=400)
    call_command("prune")

    assert the_app().expires_at is None


def test_the_endpoint_reads_only_posted_json_with_a_token():
    assert Browser().get("/oauth/register").status_code == 405
    bare = Browser().post("/oauth/register", VALID, content_type="application/json")
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_token")
    assert bare["WWW-Authenticate"] == "Bearer"
    wrong = self_register(new_token()[:-1])
    assert wrong["WWW-Authenticate"] == 'Bearer error="invalid_token"'


RESOURCE, JWKS = "/.well-known/oauth-protected-resource", "/.well-known/jwks.json"
ORIGIN = "http://localhost:8000"
SCRIPT = {"Origin": "https://spa.example"}


@pytest.fixture
def app(db):
    return new_app()


@pytest.fixture
def alice(db):
    return make_user("alice", language="de")


def test_both_documents_of_the_provider_name_the_issuer_and_urls_that_exist():
    found = document()

    assert found == document(OAUTH)
    assert found["issuer"] == ORIGIN
    urls = [found[name] for name in found if name.endswith(("_endpoint", "_uri"))]
    assert len(urls) == 10
    for url in urls:
        assert url.startswith(f"{ORIGIN}/")
        assert resolve(urlsplit(url).path)


@proves("RFC9700-2.4", "RFC9700-2.6-a")
def test_the_document_lists_exactly_what_the_endpoints_do(app, alice, settings):
    alice.groups.create(name="Editors")
    User.objects.filter(pk=alice.pk).update(given_name="Alice", family_name="Liddell")
    alice.refresh_from_db()
    given, found = app.sign_in(browser_of(alice), EVERYTHING, nonce="n"), document()

    assert set(claims_of(given["id_token"])) == set(found["claims_supported"])
    for grant in ("authorization_code", "refresh_token", DEVICE, "password", "implicit"):
        is_known = app.post("/oauth/token", grant_type=grant).error != "unsupported_grant_type"
        assert is_known == (grant in found["grant_types_supported"])
    assert found["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
    set_up(settings, id_token_algorithm="ES256")
    assert document()["id_token_signing_alg_values_supported"] == ["ES256"]


def test_the_api_of_this_site_is_a_protected_resource_of_this_provider():
    found = document(RESOURCE)

    assert (found["resource"], found["authorization_servers"]) == (ORIGIN, [ORIGIN])
    assert set(found["scopes_supported"]) < set(document()["scopes_supported"])


@pytest.mark.parametrize(
    "path",
    [
        *("/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/oauth/register"),
        *(OPENID, OAUTH, RESOURCE, JWKS),
    ],
)
def test_scripts_of_every_site_may_call_the_endpoints_without_cookies(path):
    asks = {"Method": "POST", "Headers": "authorization"}
    asks = {f"Access-Control-Request-{name}": value for name, value in asks.items()}

    before = Browser().options(path, headers=SCRIPT | asks)
    answers = [Browser().get(path, headers=SCRIPT), Browser().post(path, headers=SCRIPT)]

    assert before.status_code == 204
    assert before["Access-Control-Allow-Headers"] == "authorization, content-type, dpop"
    for answer in (before, *answers):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "dpop-nonce" in answers[1]["Access-Control-Expose-Headers"]


@proves("RFC9700-2.6-b")
def test_scripts_of_other_sites_may_read_nothing_else():
    for path in ("/oauth/introspect", "/oauth/authorize", "/", "/api/v1/me/", "/oauth/token/"):
        answer = Browser().get(path, headers=SCRIPT)
        assert "Access-Control-Allow-Origin" not in answer.headers


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
PAIRWISE = {"subject_type": "pairwise"}


WRONG = [
    *({"client_name": name} for name in (None, 5, "x" * 61, "Pa\u202eper", "\ud800")),
    *({"client_uri": uri} for uri in ("javascript:alert(1)", "https://a\0b")),
    *({"policy_uri": 5}, {"tos_uri": "http://a.example"}, {"scope": ["openid"]}),
    *({"post_logout_redirect_uris": uris} for uris in (["javascript:alert(1)"], WEB, [None])),
    *({"grant_types": types} for types in (["implicit"], "x", [5])),
    *({"response_types": types} for types in (["token"], "code")),
    *({"token_endpoint_auth_method": m} for m in ("client_secret_jwt", 5)),
    *(KEYED, KEYED | {"jwks_uri": WEB, "jwks": KEYS}, KEYED | {"jwks": {"keys": []}}),
    *(KEYED | {"jwks_uri": uri} for uri in ("https://10.0.0.1/", "http://shop.example.org/")),
    *({"subject_type": "x"}, PAIRWISE | {"redirect_uris": [WEB, SHOP]}),
    *(PAIRWISE | {"sector_identifier_uri": SHOP}, PAIRWISE | {"grant_types": [DEVICE]}),
    *({"dpop_bound_access_tokens": "false"}, {"backchannel_logout_uri": "https://10.0.0.1/"}),
]


def test_metadata_with_a_wrong_member_is_refused():
    for members in WRONG:
        assert error_of(**members) == "invalid_client_metadata", members

"""Reading the metadata with which an app describes itself (RFC 7591 section 2)."""

import pytest
from django.core.exceptions import ValidationError

from accounts.oauth.clients import metadata as client_metadata
from accounts.oauth.clients.metadata import DEVICE
from accounts.oauth.clients.models import Client
from accounts.oauth.protocol import OAuthError
from tests.support.apps import WEB
from tests.support.client_keys import public_of
from tests.support.forgeries import key_of

SITE = "https://paperless.example.org"
VALID = {"client_name": "Paperless", "redirect_uris": [WEB]}
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


@pytest.mark.parametrize("source", [Client.Source.DOCUMENT, Client.Source.REGISTRATION])
@pytest.mark.parametrize(
    "field", ["is_first_party", "backchannel_logout_is_private", "jwks_uri_is_private"]
)
def test_nobody_can_give_an_app_that_described_itself_the_rights_of_an_operators_app(source, field):
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


@pytest.mark.parametrize(
    "members",
    [
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
    ],
)
def test_metadata_with_a_wrong_member_is_refused(members):
    assert error_of(**members) == "invalid_client_metadata"

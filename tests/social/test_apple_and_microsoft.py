"""What Apple and Microsoft do differently from other OpenID Providers."""

from datetime import timedelta

import pytest
from django.test import Client
from joserfc import jwt

from accounts.common.issuers import apple_key, microsoft_tenant
from accounts.users.models import Identity, User
from tests.support import doubles as shapes
from tests.support.doubles import CLIENT_ID, CODE, CREDENTIALS, MICROSOFT, TENANT
from tests.support.signin import signed_in
from tests.support.social import come_back, configured, go
from tests.support.standards import proves
from tests.support.steps import is_signed_in, make_user

OTHER = "11111111-2222-3333-4444-555555555555"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
PERSONAL = {"tid": CONSUMERS, "iss": f"{MICROSOFT}/{CONSUMERS}/v2.0"}
ELSEWHERE = {"tid": OTHER, "iss": f"{MICROSOFT}/{OTHER}/v2.0"}
# What is wrong from every OpenID Provider is in ``tests/attacks/test_id_tokens.py``.
APPLES = {
    "the issuer ends with a slash": {"iss": f"{shapes.APPLE}/"},
    "the issuer has no scheme": {"iss": "appleid.apple.com"},
    "the issuer is http": {"iss": "http://appleid.apple.com"},
    "a subject of other letters": {"sub": "\u0661"},
    "the subject is a list": {"sub": [shapes.APPLE_SUBJECT]},
}
MICROSOFTS = {
    "no subject": {"sub": None},
    "the subject is a number": {"sub": 5},
    "the subject is empty": {"sub": ""},
    "the issuer of another provider": {"iss": shapes.GOOGLE},
    "no tenant": {"tid": None},
    "the tenant of another issuer": {"tid": OTHER},
    "the issuer of another tenant": {"iss": f"{MICROSOFT}/{OTHER}/v2.0"},
    "the template as tenant": {"tid": "{tenantid}", "iss": f"{MICROSOFT}/{{tenantid}}/v2.0"},
    "a path as tenant": {"tid": f"../{TENANT}", "iss": f"{MICROSOFT}/../{TENANT}/v2.0"},
    "a tenant in capitals": {"tid": TENANT.upper()},
    "a token of version 1": {"iss": f"https://sts.windows.net/{TENANT}/"},
}


@pytest.mark.parametrize(
    "provider, claims",
    [
        *[("apple", odd) for odd in APPLES.values()],
        *[("microsoft", odd) for odd in MICROSOFTS.values()],
    ],
)
def test_odd_claims_sign_nobody_in(provider, claims, doubles):
    """Withstands a malicious server: a tenant of Microsoft."""
    doubles.claims = claims
    assert doubles.round_trip(Client(), provider).status_code == 400

    assert not User.objects.exists()


# The tenant in the settings, the claims of the token, and whether they sign somebody in.
TENANTS = {
    "all: personal": ("common", PERSONAL, True),
    "all: a company": ("common", ELSEWHERE, True),
    "organizations: a company": ("organizations", ELSEWHERE, True),
    "organizations: personal": ("organizations", PERSONAL, False),
    "consumers: personal": ("consumers", PERSONAL, True),
    "consumers: a company": ("consumers", ELSEWHERE, False),
    "one: that one": (OTHER, ELSEWHERE, True),
    "one: another": (OTHER, {}, False),
}


@pytest.mark.parametrize("tenant, claims, may", TENANTS.values(), ids=TENANTS)
def test_microsoft_signs_in_only_people_of_the_configured_tenants(
    tenant, claims, may, doubles, settings
):
    configured(settings, **CREDENTIALS | {"microsoft_tenant": tenant})
    named = {"consumers": CONSUMERS, OTHER: OTHER}.get(tenant, "{tenantid}")
    metadata = doubles.answers[shapes.MICROSOFT_DISCOVERY] | {"issuer": f"{MICROSOFT}/{named}/v2.0"}
    at = shapes.MICROSOFT_DISCOVERY.replace("common", tenant)
    doubles.answers[at] = metadata
    doubles.claims = claims

    assert doubles.round_trip(Client(), "microsoft").status_code == (302 if may else 400)
    assert User.objects.exists() == may


def test_a_key_of_one_tenant_of_microsoft_signs_for_no_other(doubles):
    """Withstands a malicious server."""
    (key,) = doubles.answers[shapes.MICROSOFT_KEYS]["keys"]
    key["issuer"] = f"{MICROSOFT}/{OTHER}/v2.0"

    assert doubles.round_trip(Client(), "microsoft").status_code == 400
    doubles.claims = ELSEWHERE
    assert doubles.round_trip(Client(), "microsoft").url == "/"


@proves("V6.8.1")
def test_one_subject_in_two_tenants_of_microsoft_is_two_people(doubles):
    doubles.round_trip(Client(), "microsoft")
    doubles.claims = ELSEWHERE | {"email": None}
    doubles.round_trip(Client(), "microsoft")

    assert Identity.objects.values("user").distinct().count() == 2


# Administrators of a tenant choose the addresses of its people.
ADDRESSES = {
    "microsoft: owned": ("microsoft", {}, True),
    "microsoft: nothing said": ("microsoft", {"xms_edov": None}, False),
    "microsoft: denied": ("microsoft", {"xms_edov": False}, False),
    "microsoft: a text": ("microsoft", {"xms_edov": "true"}, False),
    "microsoft: email_verified": ("microsoft", {"xms_edov": None, "email_verified": True}, False),
    "apple: a text": ("apple", {}, True),
    "apple: a boolean": ("apple", {"email_verified": True}, True),
    "apple: a relay": ("apple", {"email": "x7@privaterelay.appleid.com"}, True),
    "apple: denied": ("apple", {"email_verified": "false"}, False),
    "apple: nothing said": ("apple", {"email_verified": None}, False),
}


@pytest.mark.parametrize("provider, claims, counts", ADDRESSES.values(), ids=ADDRESSES)
def test_an_email_address_counts_only_if_the_provider_has_verified_it(
    provider, claims, counts, doubles
):
    """Withstands a malicious server: Apple or Microsoft."""
    doubles.claims = claims
    assert doubles.round_trip(Client(), provider).url == "/"

    assert User.objects.get().email == (claims.get("email", "alice@example.org") if counts else "")


def test_the_client_secret_for_apple_is_signed_for_five_minutes(doubles):
    doubles.round_trip(Client(), "apple")
    token = jwt.decode(doubles.asked(shapes.APPLE_TOKEN).form["client_secret"], shapes.APPLE_SIGNER)

    assert token.header["kid"] == shapes.KEY_ID
    life = timedelta(seconds=token.claims.pop("exp") - token.claims.pop("iat"))
    assert life == timedelta(minutes=5)
    assert token.claims == {"iss": shapes.TEAM, "sub": CLIENT_ID, "aud": shapes.APPLE}


def posted(client, answer):
    """Post an answer as Apple's page does, and return the URL that the browser then requests."""
    return client.post("/accounts/apple/login/callback/", answer)["Location"]


def test_the_answer_that_apple_posts_works_only_in_the_browser_that_asked(doubles):
    """Withstands a hostile website."""
    alice, mallory = Client(), Client()
    url = posted(Client(), doubles.send_back(go(alice, "apple")))

    assert mallory.get(url).status_code == 400
    assert not is_signed_in(mallory)
    assert alice.get(url).url == "/"
    assert is_signed_in(alice)
    assert alice.get(url).status_code == 400


def test_the_url_after_the_post_shows_neither_code_nor_state_nor_name(doubles):
    """Withstands a thief with the database."""
    answer = doubles.send_back(go(Client(), "apple"))
    url = posted(Client(), answer)

    assert [value for value in (CODE, answer["state"], "Alice") if value in url] == []
    forged = Client().get("/accounts/apple/login/callback/", answer)
    assert forged.status_code == 400, "the answer counts only as it was posted"


@pytest.mark.parametrize("user", ["null", "[]", "{", '{"name": 5}', "[" * 900, "\0", "x" * 9000])
def test_garbage_in_place_of_the_name_gives_no_name(user, doubles):
    client = Client()
    answer = doubles.send_back(go(client, "apple")) | {"user": user}

    assert come_back(client, answer, "apple").url == "/"
    assert User.objects.get().display_name == ""


def test_without_a_name_the_sign_in_with_apple_works_and_keeps_the_name_of_the_account(doubles):
    doubles.round_trip(Client(), "apple")
    client = Client()
    answer = doubles.send_back(go(client, "apple"))
    del answer["user"]

    assert come_back(client, answer, "apple").url == "/"
    assert User.objects.get().display_name == "Alice"


def test_whoever_cancels_at_apple_comes_back_to_the_sign_in_page(doubles):
    client = Client()
    state = doubles.send_back(go(client, "apple"))["state"]
    answer = {"state": state, "error": "user_cancelled_authorize"}

    assert come_back(client, answer, "apple").url == "/accounts/login/"


def test_only_apple_may_post_its_answer(doubles):
    client = signed_in(make_user("alice"))
    answer = doubles.send_back(go(client, "google", act="connect"))

    assert client.post("/accounts/google/login/callback/", answer).status_code == 405


@pytest.mark.parametrize("text", ["", "everybody", f"{TENANT}/", "*", "contoso.com", "com\nmon"])
def test_a_tenant_is_a_known_word_or_an_id(text):
    with pytest.raises(ValueError, match="tenant"):
        microsoft_tenant(text)


def test_the_key_of_apple_is_a_private_key_of_its_curve(settings):
    for text in ("", "key", shapes.APPLE_SIGNER.as_pem(private=False).decode()):
        with pytest.raises(ValueError, match="P-256"):
            apple_key(text)

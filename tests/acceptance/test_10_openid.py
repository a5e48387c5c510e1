"""System 10: OpenID. Every tampered answer: tests/attacks/test_id_tokens.py."""

from typing import Any

import pytest
from django.test import Client
from joserfc.jwk import ECKey

from accounts.identities.models import Identity
from accounts.social import metadata, outside
from accounts.users.models import User
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.social import configured, through
from tests.support.steps import is_signed_in, make_user

pytestmark = pytest.mark.django_db


def test_10_1_any_issuer_is_found_by_discovery_once(op: OpenIDProvider) -> None:
    for subject in ("a", "b"):
        through(Client(), op, Person(subject))

    assert User.objects.count() == 2
    assert op.count("/.well-known/openid-configuration") == 1
    assert op.count("/jwks") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"claims": {"aud": "another"}},
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"nonce": "another"}},
        {"claims": {"exp": 1}},
        {"userinfo": {"sub": "bob-1"}},
        {"key": ECKey.generate_key("P-256", {"kid": "one"})},
    ],
)
def test_10_2_an_answer_that_is_not_for_us_is_refused(
    op: OpenIDProvider, client: Client, wrong: dict[str, Any]
) -> None:
    vars(op).update(wrong)

    assert through(client, op).status_code == 400
    assert not User.objects.exists()
    assert not is_signed_in(client)


def test_10_3_a_taken_nickname_gets_a_suffix_and_remember_me_and_next_survive(
    op: OpenIDProvider, client: Client
) -> None:
    make_user("alice")
    person = Person("alice-1", username="Alice")

    assert through(client, op, person, remember="on", next="/accounts/email/").url == (
        "/accounts/email/"
    )

    assert client.cookies["sessionid"]["max-age"]
    assert {user.username for user in User.objects.all()} == {"alice", "Alice-2"}


def test_10_4_endpoints_must_be_public_unless_the_issuer_itself_is_private(
    op: OpenIDProvider, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "is_public", lambda address: address == "127.0.0.1")
    there = f"{op.origin}/token"
    op.metadata = {"token_endpoint": there.replace("127.0.0.1", "127.0.0.2")}

    assert through(client, op).status_code == 400
    assert op.count("/token") == 0
    op.metadata = {}
    metadata._known.clear()
    assert through(client, op).url == "/"


def test_10_4_a_second_issuer_with_the_same_subject_and_address_takes_nothing_over(
    op: OpenIDProvider, settings: Any
) -> None:
    through(Client(), op)
    with OpenIDProvider() as other:
        configured(settings, op.setting(), other.setting("other", "Other"))
        client = Client()

        answer = through(client, other, provider="oidc/other")

        assert answer.url == "/accounts/login/?next=/accounts/3rdparty/confirm/"
        assert not is_signed_in(client)
        other.person.email = ""
        through(client, other, provider="oidc/other")
    assert User.objects.count() == 2
    assert Identity.objects.filter(subject="alice-1").count() == 2

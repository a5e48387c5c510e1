"""System 10: OpenID. Rows 2 and 4: tests/attacks/test_id_tokens.py, test_provider_accounts.py."""

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.social import through
from tests.support.steps import make_user

pytestmark = pytest.mark.django_db


def test_10_1_any_issuer_is_found_by_discovery_once(op: OpenIDProvider) -> None:
    for subject in ("a", "b"):
        through(Client(), op, Person(subject))

    assert User.objects.count() == 2
    assert op.count("/.well-known/openid-configuration") == 1
    assert op.count("/jwks") == 1


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

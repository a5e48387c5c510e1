"""The keys that sign ID tokens: when the site gets one, and who publishes it."""

from typing import Any

import pytest

from accounts.activity.services import Actor
from accounts.oauth import clients, id_tokens
from accounts.oauth.models import Client
from accounts.tokens import keyring
from accounts.tokens.models import SigningKey
from tests.conftest import Clock
from tests.support.apps import WEB
from tests.support.signin import set_up
from tests.support.signing import published

pytestmark = pytest.mark.django_db(transaction=True)


def algorithms() -> list[str]:
    return [row.algorithm for row in SigningKey.objects.order_by("number")]


def test_a_site_without_apps_has_no_key_for_id_tokens(clock: Clock) -> None:
    for _day in range(3):
        keyring.signer()
        clock.advance(days=1)

    assert algorithms() == ["ES256"]
    assert keyring.can_sign()


def test_registering_the_first_app_makes_and_publishes_the_key() -> None:
    keyring.signer()

    clients.create(Client(name="Paperless", redirect_uris=[WEB]), Actor())

    assert algorithms() == ["ES256", "RS256"]
    assert keyring.signer("RS256").kid in published()
    clients.create(Client(name="Wiki", redirect_uris=[WEB]), Actor())
    assert algorithms() == ["ES256", "RS256"]


def test_the_key_is_made_when_it_is_needed_if_another_algorithm_was_configured(
    settings: Any, clock: Clock
) -> None:
    set_up(settings, id_token_algorithm="ES256")
    clients.create(Client(name="Paperless", redirect_uris=[WEB]), Actor())
    assert algorithms() == ["ES256"]

    set_up(settings, id_token_algorithm="RS256")
    id_tokens.be_ready()

    assert algorithms() == ["ES256", "RS256"]


def test_a_process_publishes_a_key_that_another_process_signs_with_at_once(clock: Clock) -> None:
    keyring.signer()
    before = published()
    other_process = keyring._cache
    keyring._cache = keyring._Cache()
    clients.create(Client(name="Paperless", redirect_uris=[WEB]), Actor())
    kid = keyring.signer("RS256").kid
    keyring._cache = other_process
    clock.advance(seconds=5)

    assert published() == [*before, kid]


def test_the_key_is_replaced_and_its_successor_is_published_before_it_signs(
    clock: Clock,
) -> None:
    """The tokens and copies of the keys are as old as clients may have them."""
    clients.create(Client(name="Paperless", redirect_uris=[WEB]), Actor())
    first = keyring.signer("RS256").kid
    clock.advance(days=90)
    copies = [set(published())] * 6
    for _minute in range(30):
        clock.advance(minutes=1)
        copies = [*copies[1:], set(published())]
        assert keyring.signer("RS256").kid in copies[0]
    assert keyring.signer("RS256").kid != first

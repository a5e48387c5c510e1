"""What a process knows of the ring: little is asked, nothing is missed for long."""

from typing import Any

import pytest
from django.db import OperationalError

from accounts.kernel import secrets
from accounts.tokens import keys, ring, states
from accounts.tokens.models import SigningKey
from tests.conftest import Clock
from tests.support.client import together
from tests.support.signing import is_good, published, queries, refusing, token

pytestmark = pytest.mark.django_db

STRANGE = "x" * 43


def test_a_clock_that_is_behind_or_was_set_back_stops_neither_signing_nor_reading(
    clock: Clock,
) -> None:
    first = ring.signer().kid
    clock.advance(days=-1)
    with queries() as asked:
        ring.signer()
        ring.signer()
    assert len(asked) == 1

    ring.forget()
    assert ring.signer().kid == first
    assert SigningKey.objects.count() == 1


def test_signing_verifying_and_publishing_ask_the_database_once_a_minute(clock: Clock) -> None:
    written = token()
    clock.advance(seconds=59)
    with queries() as asked:
        assert is_good(token())
        assert is_good(written)
        ring.jwks()
    assert len(asked) == 0

    clock.advance(seconds=1)
    with queries() as asked:
        assert is_good(token())
        ring.jwks()
    assert len(asked) == 1


def test_a_flood_of_unknown_keys_costs_one_query_in_five_seconds(clock: Clock) -> None:
    """What can be no thumbprint costs none."""
    ring.signer()
    clock.advance(seconds=1)
    with queries() as asked:
        for i in range(50):
            assert ring.find(f"{i:x<43}") is None
    assert len(asked) == 1

    clock.advance(seconds=5)
    with queries() as asked:
        assert ring.find(STRANGE) is None
        assert ring.find(STRANGE) is None
    assert len(asked) == 1

    clock.advance(seconds=5)
    with queries() as asked:
        for kid in ("", "../../dev/null", "' OR 1=1 --", "x" * 8000, "ü" * 43):
            assert ring.find(kid) is None
    assert len(asked) == 0


def test_a_process_learns_of_a_key_of_another_when_it_meets_it(clock: Clock) -> None:
    ring.signer()
    elsewhere = keys.generate("ES256")
    states.insert(elsewhere, 2, clock.now())

    found = ring.find(keys.public_jwk(elsewhere)["kid"])

    assert found is not None
    assert ring.signer().kid == found.kid, "what was read counts for signing as well"


def test_a_process_that_meets_no_unknown_key_is_behind_for_a_minute_and_no_longer(
    clock: Clock,
) -> None:
    ring.signer()
    stolen = token()
    states.insert(keys.generate("ES256"), 2, clock.now())
    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now(), private="")

    clock.advance(seconds=59)
    assert is_good(stolen)
    clock.advance(seconds=1)
    assert not is_good(stolen)
    assert ring.signer().kid == SigningKey.objects.get(number=2).kid


def test_while_the_database_is_away_what_is_known_goes_on(clock: Clock) -> None:
    written, new = token(), ring.rotate().kid
    ring.jwks()

    with refusing():
        clock.advance(minutes=20)
        assert ring.signer().kid == new, "it was known before"
        assert is_good(written)
        assert is_good(token())
        assert ring.find(STRANGE) is None
        assert len(published()) == 2

    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now())
    assert is_good(written)
    clock.advance(seconds=5)
    assert not is_good(written), "it's asked again soon"


def test_a_process_that_knows_nothing_yet_says_that_the_database_is_away() -> None:
    for ask in (ring.signer, ring.jwks, lambda: ring.find(STRANGE)):
        with refusing(), pytest.raises(OperationalError):
            ask()


def test_without_the_encryption_keys_tokens_are_verified_and_none_signed(
    configure: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    written, kid, new = token(), ring.signer().kid, secrets.encryption_key()
    configure(encryption_keys=(new, *settings.AUTHSITE.encryption_keys))
    ring.forget()
    assert ring.signer().kid == kid, "a former key is good for unsealing"
    configure(encryption_keys=(new,))
    ring.forget()

    with pytest.raises(ring.CannotSign) as refused:
        ring.signer()

    assert (refused.value.status, refused.value.retry_after) == (503, 60)
    assert f"ENCRYPTION_KEYS lacks the key that sealed the signing key {kid}." in caplog.text
    assert is_good(written)
    assert published() == [kid]
    assert SigningKey.objects.count() == 1, "no other is made: two nodes would never agree"
    ring.rotate(now=True)
    assert is_good(token())


@pytest.mark.django_db(transaction=True)
def test_sixteen_threads_that_want_the_first_key_at_once_agree_on_one() -> None:
    made = together(16, lambda _i: ring.signer().kid)

    assert set(made) == {SigningKey.objects.get().kid}

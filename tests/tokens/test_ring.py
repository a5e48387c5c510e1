"""What a key of the ring is for at each moment."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from accounts.tokens import keys, ring, states
from accounts.tokens.models import SigningKey
from tests.conftest import Clock
from tests.support.signing import is_good, published, refusing, token

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_first_key_is_made_when_one_is_wanted_and_signs_at_once(
    algorithm: str, configure: Any
) -> None:
    configure(token_algorithm=algorithm)
    assert not SigningKey.objects.exists()

    signer = ring.signer()

    assert (signer.algorithm, SigningKey.objects.get().kid) == (algorithm, signer.kid)
    assert published() == [signer.kid]
    assert is_good(token())


def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_ends(
    clock: Clock,
) -> None:
    first, old = ring.signer().kid, token()
    new = ring.rotate().kid

    assert published() == [first, new]
    clock.set(SigningKey.objects.get(kid=new).signs_at - timedelta(seconds=1))
    assert ring.signer().kid == first, "verifiers may not have the new one yet"
    last = token()
    clock.advance(seconds=1)
    assert ring.signer().kid == new
    clock.advance(seconds=states.LONGEST_ACCESS_TOKEN)
    assert published() == [first, new]
    assert is_good(last)
    clock.advance(minutes=10)
    assert published() == [new]
    assert not is_good(old)


def test_every_copy_of_the_published_keys_is_renewed_before_a_new_key_signs() -> None:
    """One that was fetched from a process just before it learnt of the key ends in time."""
    assert states.LEAD > states.RELOAD + states.MAX_AGE


def test_a_key_that_others_may_have_is_withdrawn_at_once_with_what_was_to_follow(
    clock: Clock,
) -> None:
    ring.signer()
    stolen = token()
    waiting = ring.rotate()
    new = ring.rotate(now=True)

    assert ring.signer().kid == new.kid
    assert published() == [new.kid]
    assert not is_good(stolen)
    clock.advance(hours=1)
    assert ring.signer().kid == new.kid
    gone = SigningKey.objects.exclude(kid=new.kid)
    assert [(row.private, row.withdrawn_at) for row in gone] == [("", new.made_at)] * 2
    assert waiting.kid in {row.kid for row in gone}


def test_a_key_is_added_once_and_never_after_it_was_withdrawn(clock: Clock) -> None:
    key = keys.generate("EdDSA")
    assert ring.add(key).kid == ring.signer().kid, "the first one of all signs at once"
    ring.rotate(now=True)
    clock.advance(days=400)
    ring.prune()

    with pytest.raises(ring.KnownKey):
        ring.add(key)


def test_prune_deletes_what_no_token_needs_and_never_what_signs_or_waits(clock: Clock) -> None:
    ring.signer()
    assert ring.prune() == 0
    second = ring.rotate()
    clock.advance(minutes=70)
    assert ring.prune() == 0, "a token of the first may have five minutes to live"
    clock.advance(minutes=5)
    waiting = ring.rotate()

    assert ring.prune() == 1
    assert [row.kid for row in SigningKey.objects.order_by("number")] == [second.kid, waiting.kid]
    assert ring.signer().kid == second.kid


@pytest.mark.django_db(transaction=True)
def test_the_key_gets_a_successor_by_itself_which_waits_its_turn(
    clock: Clock, configure: Any
) -> None:
    configure(signing_key_days=30)
    first = ring.signer().kid
    clock.advance(days=30, seconds=-1)
    assert published() == [first]
    clock.advance(seconds=61)

    assert ring.signer().kid == first
    first_again, second = published()
    assert first_again == first
    clock.advance(minutes=10)
    assert ring.signer().kid == second
    clock.advance(hours=2)
    assert published() == [second]
    configure(signing_key_days=0)
    clock.advance(days=4000)
    assert published() == [second], "without a number of days a key stays"


@pytest.mark.django_db(transaction=True)
def test_a_successor_that_cannot_be_stored_stops_nobody(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    first = ring.signer().kid
    clock.advance(days=91)

    with refusing("INSERT"):
        assert ring.signer().kid == first
    assert "can't be stored" in caplog.text

    clock.advance(minutes=1)
    assert len(published()) == 2


@pytest.mark.django_db(transaction=True)
def test_a_key_is_not_made_within_a_transaction_that_may_be_undone() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        ring.signer()

    assert not SigningKey.objects.exists()


def test_of_two_processes_that_make_the_successor_at_once_one_makes_it(clock: Clock) -> None:
    ring.signer()
    seen = states.read({})

    for _process in range(2):
        states.make_next(seen, clock.now())

    assert [row.number for row in SigningKey.objects.order_by("number")] == [1, 2]

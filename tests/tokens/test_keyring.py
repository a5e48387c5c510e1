"""The key ring: what each signing key is used for over time."""

from typing import Any

import pytest
from django.db import transaction

from accounts.tokens import keyring, keys
from accounts.tokens.keyring import Further
from accounts.tokens.models import SigningKey
from tests.support.clock import Clock
from tests.support.signing import is_good, published, queries, refusing, token

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_first_key_is_made_on_demand_and_signs_at_once(algorithm: str, configure: Any) -> None:
    configure(token_algorithm=algorithm)
    assert not SigningKey.objects.exists()

    signer = keyring.signer()

    assert (signer.algorithm, SigningKey.objects.get().kid) == (algorithm, signer.kid)
    assert published() == [signer.kid]
    assert is_good(token())


@pytest.mark.django_db(transaction=True)
def test_a_new_key_keeps_the_algorithm_of_the_key_before_it_unless_one_is_set(
    clock: Clock, configure: Any
) -> None:
    keyring.add(keys.generate("EdDSA"))
    clock.advance(days=91)
    keyring.signer()
    keyring.rotate()
    configure(token_algorithm="ES256")
    keyring.rotate()

    rows = SigningKey.objects.order_by("number")
    assert [row.algorithm for row in rows] == ["EdDSA", "EdDSA", "EdDSA", "ES256"]


@pytest.fixture
def id_tokens(only_access_tokens: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign other tokens than access tokens with RS256."""
    monkeypatch.setattr(keyring, "FURTHER", [Further(lambda: "RS256", lambda: True)])


@pytest.mark.django_db(transaction=True)
def test_each_algorithm_in_use_has_its_own_key_and_successor(
    id_tokens: None, clock: Clock, configure: Any
) -> None:
    configure(signing_key_days=30)
    access, other = keyring.signer(), keyring.signer("RS256")

    assert (access.algorithm, other.algorithm) == ("ES256", "RS256")
    assert published() == [access.kid, other.kid]
    clock.advance(days=20)
    (brought,) = keyring.add(keys.generate("ES256"))
    clock.advance(days=10)
    assert len(published()) == 3, "only the old key with RS256 gets a successor"
    clock.advance(hours=2)
    keyring.prune()

    assert keyring.signer().kid == brought.kid
    successor = keyring.signer("RS256")
    assert successor.kid != other.kid
    assert published() == [brought.kid, successor.kid]
    new = [key.kid for key in keyring.rotate(now=True)]
    assert published() == new == [keyring.signer().kid, keyring.signer("RS256").kid]


@pytest.mark.django_db(transaction=True)
def test_an_algorithm_that_is_not_in_use_gets_no_key() -> None:
    keyring.signer()

    with pytest.raises(keyring.CannotSign):
        keyring.signer("RS256")
    assert [row.algorithm for row in SigningKey.objects.all()] == ["ES256"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", ["ES256", "RS256"])
def test_no_client_is_refused_while_the_algorithm_changes_and_changes_back(
    id_tokens: None, before: str, clock: Clock, configure: Any
) -> None:
    """Clients use copies of the published keys for five minutes, and access tokens for an hour."""
    configure(token_algorithm=before)
    keyring.signer()
    copies, tokens = [set(published())] * 6, [token()] * 60

    for algorithm, minutes in (("EdDSA", 180), (before, 30), ("EdDSA", 30), (before, 180)):
        configure(token_algorithm=algorithm)
        keyring.forget()
        for _minute in range(minutes):
            clock.advance(minutes=1)
            keyring.prune()
            copies, tokens = [*copies[1:], set(published())], [*tokens[1:], token()]
            assert keyring.signer().kid in copies[0]
            assert all(is_good(written) for written in tokens[::20])
        if minutes == 180:
            assert keyring.signer().algorithm == algorithm
            used = {algorithm, "RS256"}
            assert {row.algorithm for row in SigningKey.objects.all()} == used


def test_cached_copies_of_the_jwks_expire_before_a_new_key_signs() -> None:
    """This holds even for a copy from a process that had not loaded the new key yet."""
    assert keyring.LEAD > keyring.RELOAD + keyring.MAX_AGE


def test_rotating_now_withdraws_the_current_and_the_waiting_key_at_once(
    clock: Clock,
) -> None:
    keyring.signer()
    stolen = token()
    (waiting,) = keyring.rotate()
    (new,) = keyring.rotate(now=True)

    assert keyring.signer().kid == new.kid
    assert published() == [new.kid]
    assert not is_good(stolen)
    clock.advance(hours=1)
    assert keyring.signer().kid == new.kid
    gone = SigningKey.objects.exclude(kid=new.kid)
    assert [(row.private, row.withdrawn_at) for row in gone] == [("", new.made_at)] * 2
    assert waiting.kid in {row.kid for row in gone}


def test_a_withdrawn_key_cannot_be_added_again(clock: Clock) -> None:
    key = keys.generate("EdDSA")
    assert keyring.add(key)[0].kid == keyring.signer().kid, "the very first key signs at once"
    keyring.rotate(now=True)
    clock.advance(days=400)
    keyring.prune()

    with pytest.raises(keyring.KnownKey):
        keyring.add(key)


def test_prune_deletes_expired_keys_and_keeps_signing_and_waiting_ones(clock: Clock) -> None:
    keyring.signer()
    assert keyring.prune() == 0
    (second,) = keyring.rotate()
    clock.advance(minutes=70)
    assert keyring.prune() == 0, "tokens of the first key may live for five more minutes"
    clock.advance(minutes=5)
    (waiting,) = keyring.rotate()

    assert keyring.prune() == 1
    assert [row.kid for row in SigningKey.objects.order_by("number")] == [second.kid, waiting.kid]
    assert keyring.signer().kid == second.kid


@pytest.mark.django_db(transaction=True)
def test_a_successor_is_made_automatically_and_published_before_it_signs(
    clock: Clock, configure: Any
) -> None:
    configure(signing_key_days=30)
    first = keyring.signer().kid
    clock.advance(days=30, seconds=-1)
    assert published() == [first]
    clock.advance(seconds=61)

    assert keyring.signer().kid == first
    first_again, second = published()
    assert first_again == first
    clock.advance(minutes=10)
    assert keyring.signer().kid == second
    clock.advance(hours=2)
    assert published() == [second]
    configure(signing_key_days=0)
    clock.advance(days=4000)
    assert published() == [second], "0 days turn the rotation off"


@pytest.mark.django_db(transaction=True)
def test_signing_goes_on_if_a_successor_cannot_be_stored(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    first = keyring.signer().kid
    clock.advance(days=91)

    with refusing("INSERT"):
        assert keyring.signer().kid == first
    assert "can't be stored" in caplog.text

    clock.advance(minutes=1)
    assert len(published()) == 2


@pytest.mark.django_db(transaction=True)
def test_a_key_is_not_made_within_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        keyring.signer()

    assert not SigningKey.objects.exists()


def test_two_processes_make_one_successor(clock: Clock) -> None:
    keyring.signer()
    clock.advance(days=91)
    seen = keyring.read({})

    for _process in range(2):
        keyring.make_due(seen, clock.now())

    assert [row.number for row in SigningKey.objects.order_by("number")] == [1, 2]


def test_signing_goes_on_after_the_clock_was_set_back(
    clock: Clock,
) -> None:
    first = keyring.signer().kid
    clock.advance(days=-1)
    with queries() as asked:
        keyring.signer()
        keyring.signer()
    assert len(asked) == 1

    keyring.forget()
    assert keyring.signer().kid == first
    assert SigningKey.objects.count() == 1

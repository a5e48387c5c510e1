"""The ring of signing keys: what each key is for at each moment, and what a process knows of it."""

from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.test import Client

from accounts.common import secrets
from accounts.tokens import keyring, keys, signing_keys
from accounts.tokens.models import SigningKey
from tests.conftest import Clock
from tests.support.client import together
from tests.support.signing import is_good, published, queries, refusing, token

pytestmark = pytest.mark.django_db

JWKS = "/.well-known/jwks.json"
STRANGE = "x" * 43
# What a JWK has of a private key (RFC 7518 section 6, RFC 8037 section 2).
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_first_key_is_made_when_one_is_wanted_and_signs_at_once(
    algorithm: str, configure: Any
) -> None:
    configure(token_algorithm=algorithm)
    assert not SigningKey.objects.exists()

    signer = keyring.signer()

    assert (signer.algorithm, SigningKey.objects.get().kid) == (algorithm, signer.kid)
    assert published() == [signer.kid]
    assert is_good(token())


def test_every_copy_of_the_published_keys_is_renewed_before_a_new_key_signs() -> None:
    """One that was fetched from a process just before it learnt of the key ends in time."""
    assert signing_keys.LEAD > signing_keys.RELOAD + signing_keys.MAX_AGE


def test_a_key_that_others_may_have_is_withdrawn_at_once_with_what_was_to_follow(
    clock: Clock,
) -> None:
    keyring.signer()
    stolen = token()
    waiting = keyring.rotate()
    new = keyring.rotate(now=True)

    assert keyring.signer().kid == new.kid
    assert published() == [new.kid]
    assert not is_good(stolen)
    clock.advance(hours=1)
    assert keyring.signer().kid == new.kid
    gone = SigningKey.objects.exclude(kid=new.kid)
    assert [(row.private, row.withdrawn_at) for row in gone] == [("", new.made_at)] * 2
    assert waiting.kid in {row.kid for row in gone}


def test_a_key_is_added_once_and_never_after_it_was_withdrawn(clock: Clock) -> None:
    key = keys.generate("EdDSA")
    assert keyring.add(key).kid == keyring.signer().kid, "the first one of all signs at once"
    keyring.rotate(now=True)
    clock.advance(days=400)
    keyring.prune()

    with pytest.raises(keyring.KnownKey):
        keyring.add(key)


def test_prune_deletes_what_no_token_needs_and_never_what_signs_or_waits(clock: Clock) -> None:
    keyring.signer()
    assert keyring.prune() == 0
    second = keyring.rotate()
    clock.advance(minutes=70)
    assert keyring.prune() == 0, "a token of the first may have five minutes to live"
    clock.advance(minutes=5)
    waiting = keyring.rotate()

    assert keyring.prune() == 1
    assert [row.kid for row in SigningKey.objects.order_by("number")] == [second.kid, waiting.kid]
    assert keyring.signer().kid == second.kid


@pytest.mark.django_db(transaction=True)
def test_the_key_gets_a_successor_by_itself_which_waits_its_turn(
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
    assert published() == [second], "without a number of days a key stays"


@pytest.mark.django_db(transaction=True)
def test_a_successor_that_cannot_be_stored_stops_nobody(
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
def test_a_key_is_not_made_within_a_transaction_that_may_be_undone() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        keyring.signer()

    assert not SigningKey.objects.exists()


def test_of_two_processes_that_make_the_successor_at_once_one_makes_it(clock: Clock) -> None:
    keyring.signer()
    seen = signing_keys.read({})

    for _process in range(2):
        signing_keys.make_next(seen, clock.now())

    assert [row.number for row in SigningKey.objects.order_by("number")] == [1, 2]


def test_every_key_is_published_without_a_private_member(client: Client, configure: Any) -> None:
    for algorithm in ("RS256", "ES256", "EdDSA"):
        configure(token_algorithm=algorithm)
        keyring.rotate()

    answer = client.get(JWKS)

    assert answer["Content-Type"] == "application/json"
    published = answer.json()["keys"]
    assert [jwk["alg"] for jwk in published] == ["RS256", "ES256", "EdDSA"]
    for jwk in published:
        assert not set(jwk) & PRIVATE_MEMBERS
        assert jwk["use"] == "sig"


def test_the_keys_are_read_without_a_query_and_sent_again_when_they_have_changed(
    client: Client, clock: Clock
) -> None:
    first = client.get(JWKS)
    assert "Vary" not in first, "a shared cache keeps one copy for all, whatever cookie they send"
    tag = first["ETag"]

    with queries() as asked:
        second, head = client.get(JWKS), client.head(JWKS)
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            answer = client.get(JWKS, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
            assert answer["Cache-Control"] == "public, max-age=300"
    assert len(asked) == 0
    assert (second.content, second["Cache-Control"]) == (first.content, "public, max-age=300")
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", tag)
    assert not second.cookies
    keyring.rotate()

    answer = client.get(JWKS, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer["ETag"] not in {tag, ""}
    for method in (client.post, client.put, client.delete):
        assert method(JWKS).status_code == 405


def test_a_clock_that_is_behind_or_was_set_back_stops_neither_signing_nor_reading(
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


def test_signing_verifying_and_publishing_ask_the_database_once_a_minute(clock: Clock) -> None:
    written = token()
    clock.advance(seconds=59)
    with queries() as asked:
        assert is_good(token())
        assert is_good(written)
        keyring.jwks()
    assert len(asked) == 0

    clock.advance(seconds=1)
    with queries() as asked:
        assert is_good(token())
        keyring.jwks()
    assert len(asked) == 1


def test_a_flood_of_unknown_keys_costs_one_query_in_five_seconds(clock: Clock) -> None:
    """What can be no thumbprint costs none."""
    keyring.signer()
    clock.advance(seconds=1)
    with queries() as asked:
        for i in range(50):
            assert keyring.find(f"{i:x<43}") is None
    assert len(asked) == 1

    clock.advance(seconds=5)
    with queries() as asked:
        assert keyring.find(STRANGE) is None
        assert keyring.find(STRANGE) is None
    assert len(asked) == 1

    clock.advance(seconds=5)
    with queries() as asked:
        for kid in ("", "../../dev/null", "' OR 1=1 --", "x" * 8000, "ü" * 43):
            assert keyring.find(kid) is None
    assert len(asked) == 0


def test_a_process_learns_of_a_key_of_another_when_it_meets_it_or_within_a_minute(
    clock: Clock,
) -> None:
    keyring.signer()
    stolen = token()
    elsewhere = keys.generate("ES256")
    signing_keys.insert(elsewhere, 2, clock.now())
    found = keyring.find(keys.public_jwk(elsewhere)["kid"])
    assert found is not None
    assert keyring.signer().kid == found.kid, "what was read counts for signing as well"
    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now(), private="")

    clock.advance(seconds=59)
    assert is_good(stolen)
    clock.advance(seconds=1)
    assert not is_good(stolen)


def test_while_the_database_is_away_what_is_known_goes_on(clock: Clock) -> None:
    written, new = token(), keyring.rotate().kid
    keyring.jwks()

    with refusing():
        clock.advance(minutes=20)
        assert keyring.signer().kid == new, "it was known before"
        assert is_good(written)
        assert is_good(token())
        assert keyring.find(STRANGE) is None
        assert len(published()) == 2

    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now())
    assert is_good(written)
    clock.advance(seconds=5)
    assert not is_good(written), "it's asked again soon"
    keyring.forget()
    for ask in (keyring.signer, keyring.jwks, lambda: keyring.find(STRANGE)):
        with refusing(), pytest.raises(OperationalError):
            ask()


def test_without_the_encryption_keys_tokens_are_verified_and_none_signed(
    configure: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    written, kid, new = token(), keyring.signer().kid, secrets.encryption_key()
    configure(encryption_keys=(new, *settings.AUTHSITE.encryption_keys))
    keyring.forget()
    assert keyring.signer().kid == kid, "a former key is good for unsealing"
    configure(encryption_keys=(new,))
    keyring.forget()

    with pytest.raises(keyring.CannotSign) as refused:
        keyring.signer()

    assert (refused.value.status, refused.value.retry_after) == (503, 60)
    assert f"No key of ENCRYPTION_KEYS decrypts the signing key {kid}." in caplog.text
    assert is_good(written)
    assert published() == [kid]
    assert SigningKey.objects.count() == 1, "no other is made: two nodes would never agree"
    keyring.rotate(now=True)
    assert is_good(token())


@pytest.mark.django_db(transaction=True)
def test_sixteen_threads_that_want_the_first_key_at_once_agree_on_one() -> None:
    made = together(16, lambda _i: keyring.signer().kid)

    assert set(made) == {SigningKey.objects.get().kid}

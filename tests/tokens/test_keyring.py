"""The key ring."""

import pytest
from django.db import OperationalError, transaction

from accounts.common import secrets
from accounts.tokens import keyring, keys
from accounts.tokens.keyring import Further
from accounts.tokens.models import SigningKey
from tests.support.signing import is_good, published, queries, refusing, token
from tests.support.standards import proves


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_first_key_is_made_on_demand_and_signs_at_once(algorithm, configure):
    configure(token_algorithm=algorithm)
    assert not SigningKey.objects.exists()

    signer = keyring.signer()

    row = SigningKey.objects.get()
    # Each process would make its own first key if they did not agree on its number.
    assert (row.number, row.algorithm, str(row)) == (1, algorithm, signer.kid)
    assert published() == [signer.kid]
    assert is_good(token())


@pytest.mark.django_db(transaction=True)
def test_a_new_key_keeps_the_algorithm_of_the_key_before_it_unless_one_is_set(clock, configure):
    keyring.add(keys.generate("EdDSA"))
    clock.advance(days=91)
    keyring.signer()
    keyring.rotate()
    configure(token_algorithm="ES256")
    keyring.rotate()

    rows = SigningKey.objects.order_by("number")
    assert [row.algorithm for row in rows] == ["EdDSA", "EdDSA", "EdDSA", "ES256"]


@pytest.fixture
def id_tokens(only_access_tokens, monkeypatch):
    """Sign other tokens than access tokens with RS256."""
    monkeypatch.setattr(keyring, "FURTHER", [Further(lambda: "RS256", lambda: True)])


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_missing_is_made_but_in_no_transaction_which_could_undo_it(
    monkeypatch, configure
):
    configure(token_algorithm="ES256")
    keyring.signer()
    monkeypatch.setattr(keyring, "FURTHER", [Further(lambda: "RS256", lambda: True)])

    with transaction.atomic(), pytest.raises(keyring.CannotSign):
        keyring.signer("RS256")

    assert SigningKey.objects.count() == 1
    assert keyring.signer("RS256").algorithm == "RS256"


def test_an_algorithm_that_no_app_needs_gets_no_key(monkeypatch):
    monkeypatch.setattr(keyring, "FURTHER", [Further(lambda: "RS256", lambda: False)])

    assert published() == [keyring.signer().kid]
    assert [key.algorithm for key in keyring.rotate()] == ["ES256"]


@pytest.mark.django_db(transaction=True)
def test_each_algorithm_in_use_has_its_own_key_and_successor(id_tokens, clock, configure):
    configure(signing_key_days=30)
    access, other = keyring.signer(), keyring.signer("RS256")

    assert published() == [access.kid, other.kid]
    clock.advance(days=20)
    (brought,) = keyring.add(keys.generate("ES256"))
    clock.advance(days=10)
    assert len(published()) == 3, "only the old key with RS256 gets a successor"
    clock.advance(hours=2)
    assert keyring.prune() == 2, "nobody is signed in"

    assert keyring.signer().kid == brought.kid
    successor = keyring.signer("RS256")
    assert successor.kid != other.kid
    assert published() == [brought.kid, successor.kid]
    new = [key.kid for key in keyring.rotate(now=True)]
    assert published() == new == [keyring.signer().kid, keyring.signer("RS256").kid]


def test_without_a_key_that_has_begun_the_first_of_its_algorithm_signs(id_tokens, clock, configure):
    """Withstands a failure: the clock was set back."""
    (other,) = keyring.add(keys.generate("RS256"))
    assert keyring.access_algorithm([other]) == "RS256", "other services may accept no other"
    access = keyring.insert(keys.generate("ES256"), 2, clock.now())
    keyring.insert(keys.generate("ES256"), 3, clock.now())
    clock.advance(hours=-1)

    assert keyring.signer().kid == access.kid
    configure(token_algorithm="EdDSA")
    assert keyring.signer().kid == other.kid, "there is no key of this algorithm yet"


def test_a_new_algorithm_signs_when_its_key_is_known_and_the_former_one_again_at_once(
    id_tokens, clock, configure
):
    former = keyring.signer()
    new = keyring.insert(keys.generate("EdDSA"), 3, clock.now() + keyring.LEAD)
    keyring.forget()
    configure(token_algorithm="EdDSA")
    assert keyring.signer().kid == former.kid
    clock.advance(minutes=10)
    assert keyring.signer().kid == new.kid
    configure(token_algorithm="ES256")
    assert keyring.signer().kid == former.kid


@proves("V11.2.2")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", ["ES256", "RS256"])
def test_1_6_no_client_is_refused_while_keys_rotate_and_algorithms_change(
    id_tokens, before, clock, configure
):
    """Withstands an operator's mistake.

    Clients use copies of the published keys for five minutes, and access tokens for an hour.
    """
    configure(token_algorithm=before)
    keyring.signer()
    copies, tokens = [set(published())] * 6, [token()] * 60

    for algorithm, minutes in (("EdDSA", 180), (before, 30), ("EdDSA", 30), (before, 180)):
        configure(token_algorithm=algorithm)
        keyring.forget()
        for minute in range(minutes):
            # The second of two rotations happens while the first new key is still waiting.
            if minute in {100, 103}:
                keyring.rotate()
            clock.advance(minutes=1)
            keyring.prune()
            copies, tokens = [*copies[1:], set(published())], [*tokens[1:], token()]
            assert keyring.signer().kid in copies[0]
            assert keyring.signer().algorithm in {before, "EdDSA"}
            assert all(is_good(written) for written in tokens[::20])
        if minutes == 180:
            assert keyring.signer().algorithm == algorithm
            used = {algorithm, "RS256"}
            assert {row.algorithm for row in SigningKey.objects.all()} == used


def test_cached_copies_of_the_jwks_expire_before_a_new_key_signs():
    """This holds even for a copy from a process that had not loaded the new key yet."""
    assert keyring.LEAD > keyring.RELOAD + keyring.MAX_AGE


def test_rotating_now_withdraws_the_current_and_the_waiting_key_at_once(clock):
    """Withstands a forger."""
    keyring.signer()
    stolen, of_another_process = token(), keyring._Cache()
    of_another_process.signer(of_another_process.begin().keys[0])
    (waiting,) = keyring.rotate()
    (new,) = keyring.rotate(now=True)

    assert keyring.signer().kid == new.kid
    assert published() == [new.kid]
    assert [key.kid for key in keyring.live_keys()] == [new.kid]
    assert not is_good(stolen)
    gone = SigningKey.objects.exclude(kid=new.kid)
    assert [(row.private, row.withdrawn_at) for row in gone] == [("", new.made_at)] * 2
    assert waiting.kid in {row.kid for row in gone}
    of_another_process.begin()
    assert not of_another_process._signers, "no memory holds a withdrawn key"


def test_a_withdrawn_key_cannot_be_added_again(clock):
    """Withstands an operator's mistake."""
    key = keys.generate("EdDSA")
    (row,) = keyring.add(key)
    assert (row.number, row.kid) == (1, keyring.signer().kid), "the very first key signs at once"
    # A retired key may be withdrawn, too.
    SigningKey.objects.filter(kid=row.kid).update(retired_at=clock.now())
    assert not keyring.live_keys()
    keyring.rotate(now=True)
    clock.advance(days=400)
    assert keyring.prune() == 0

    with pytest.raises(keyring.KnownKey):
        keyring.add(key)


@proves("V13.3.4")
@pytest.mark.django_db(transaction=True)
def test_a_successor_is_made_automatically_and_published_before_it_signs(clock, configure):
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
    for seconds, expected in ((keyring.KEEP.seconds - 1, [first, second]), (1, [second])):
        clock.advance(seconds=seconds)
        keyring.forget()
        assert published() == expected
    configure(signing_key_days=0)
    clock.advance(days=4000)
    assert published() == [second], "0 days turn the rotation off"


@pytest.mark.django_db(transaction=True)
def test_signing_goes_on_if_a_successor_cannot_be_stored(clock, caplog):
    first = keyring.signer().kid
    clock.advance(days=91)

    with refusing("INSERT"):
        assert keyring.signer().kid == first
    assert "can't be stored" in caplog.text

    clock.advance(minutes=1)
    assert len(published()) == 2


def test_two_processes_make_one_successor(clock):
    keyring.signer()
    clock.advance(days=91)
    seen = keyring.read({})

    for _process in range(2):
        keyring.make_due(seen, clock.now())

    assert [row.number for row in SigningKey.objects.order_by("number")] == [1, 2]


UNKNOWN = "x" * 43


def test_signing_verifying_and_publishing_query_the_database_once_a_minute(clock):
    assert keyring.cached_jwks() is None, "nothing is cached yet"
    assert keyring.find_key(UNKNOWN) is None
    assert keyring.cached_jwks() is None, "there is no key yet"
    written, read = token(), keyring.jwks()
    clock.advance(seconds=59)
    with queries() as asked:
        assert is_good(token())
        assert is_good(written)
        assert keyring.jwks() == keyring.cached_jwks() == read
    assert len(asked) == 0

    clock.advance(seconds=1)
    assert keyring.cached_jwks() is None
    with queries() as asked:
        assert is_good(token())
        keyring.jwks()
    assert len(asked) == 1


def test_a_flood_of_unknown_key_ids_costs_one_query_in_five_seconds(clock):
    """Withstands a flood.

    A key id that cannot be a thumbprint costs no query.
    """
    keyring.signer()
    clock.advance(seconds=1)
    with queries() as asked:
        for i in range(50):
            assert keyring.find_key(f"{i:x<43}") is None
    assert len(asked) == 1

    clock.advance(seconds=5)
    with queries() as asked:
        assert keyring.find_key(UNKNOWN) is None
        assert keyring.find_key(UNKNOWN) is None
    assert len(asked) == 1

    clock.advance(seconds=5)
    with queries() as asked:
        for kid in ("", "../../dev/null", "' OR 1=1 --", "x" * 8000, "ü" * 43):
            assert keyring.find_key(kid) is None
    assert len(asked) == 0


def test_keys_of_other_processes_are_found_on_first_use_and_withdrawals_in_a_minute(
    clock, monkeypatch
):
    keyring.signer()
    stolen = token()
    elsewhere = keys.generate("ES256")
    keyring.insert(elsewhere, 2, clock.now())
    found = keyring.find_key(keys.public_jwk(elsewhere)["kid"])
    assert found is not None
    assert keyring.signer().kid == found.kid, "the reload also serves signing"
    keyring.insert(keys.generate("RS256"), 3, clock.now())
    assert keyring.signer("RS256").algorithm == "RS256"
    monkeypatch.setattr(keyring, "FURTHER", [Further(lambda: "EdDSA", lambda: True)])
    first = keyring.insert(keys.generate("EdDSA"), 4, clock.now())
    clock.advance(seconds=5)
    assert first.kid in published()
    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now(), private="")

    clock.advance(seconds=59)
    assert is_good(stolen)
    clock.advance(seconds=1)
    assert not is_good(stolen)


def test_known_keys_sign_and_verify_while_the_database_is_away(clock):
    """Withstands a failure."""
    written, new = token(), keyring.rotate()[0].kid
    keyring.jwks()

    with refusing():
        clock.advance(minutes=20)
        assert keyring.signer().kid == new, "the new key was loaded before"
        assert is_good(written)
        assert is_good(token())
        assert keyring.find_key(UNKNOWN) is None
        assert len(published()) == 2

    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now())
    assert is_good(written)
    clock.advance(seconds=5)
    assert not is_good(written), "the database is queried again soon"
    keyring.forget()
    for ask in (keyring.signer, keyring.jwks, lambda: keyring.find_key(UNKNOWN)):
        with refusing(), pytest.raises(OperationalError):
            ask()


def test_without_its_encryption_key_a_signing_key_verifies_but_does_not_sign(
    configure, settings, caplog
):
    """Withstands an operator's mistake."""
    written, kid, new = token(), keyring.signer().kid, secrets.encryption_key()
    configure(encryption_keys=(new, *settings.AUTHSITE.encryption_keys))
    keyring.forget()
    assert keyring.signer().kid == kid, "a former key still decrypts"
    configure(encryption_keys=(new,))
    keyring.forget()

    with pytest.raises(keyring.CannotSign) as refused:
        keyring.signer()

    assert (refused.value.status, refused.value.retry_after) == (503, 60)
    assert f"No key of ENCRYPTION_KEYS decrypts the signing key {kid}." in caplog.text
    assert is_good(written)
    assert published() == [kid]
    assert SigningKey.objects.count() == 1, "nodes with different keys would never agree"
    keyring.rotate(now=True)
    assert is_good(token())


JWKS = "/.well-known/jwks.json"


def test_the_jwks_is_served_without_a_query_and_its_etag_changes_with_the_keys(client, clock):
    first = client.get(JWKS)
    assert "Vary" not in first, "shared caches keep one copy for all clients"
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
    keyring.rotate()

    assert client.get(JWKS, headers={"If-None-Match": tag})["ETag"] not in {tag, ""}

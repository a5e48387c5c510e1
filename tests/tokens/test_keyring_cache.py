"""What a process caches of the signing keys, and how it works without the database."""

from typing import Any

import pytest
from django.db import OperationalError

from accounts.common import secrets
from accounts.tokens import keyring, keys
from accounts.tokens.models import SigningKey
from tests.support.client import together
from tests.support.clock import Clock
from tests.support.signing import is_good, published, queries, refusing, token

pytestmark = pytest.mark.django_db

UNKNOWN = "x" * 43


def test_signing_verifying_and_publishing_query_the_database_once_a_minute(clock: Clock) -> None:
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


def test_cached_keys_are_published_without_the_database_for_a_minute(clock: Clock) -> None:
    assert keyring.cached_jwks() is None, "nothing is cached yet"
    read = keyring.jwks()
    clock.advance(seconds=59)
    with queries() as asked:
        assert keyring.cached_jwks() == read
    assert len(asked) == 0

    clock.advance(seconds=1)
    assert keyring.cached_jwks() is None


def test_a_flood_of_unknown_key_ids_costs_one_query_in_five_seconds(clock: Clock) -> None:
    """A key id that cannot be a thumbprint costs no query."""
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
    clock: Clock,
) -> None:
    keyring.signer()
    stolen = token()
    elsewhere = keys.generate("ES256")
    keyring.insert(elsewhere, 2, clock.now())
    found = keyring.find_key(keys.public_jwk(elsewhere)["kid"])
    assert found is not None
    assert keyring.signer().kid == found.kid, "the reload also serves signing"
    SigningKey.objects.filter(number=1).update(withdrawn_at=clock.now(), private="")

    clock.advance(seconds=59)
    assert is_good(stolen)
    clock.advance(seconds=1)
    assert not is_good(stolen)


def test_known_keys_sign_and_verify_while_the_database_is_away(clock: Clock) -> None:
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
    configure: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
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
    assert SigningKey.objects.count() == 1, (
        "two nodes with different keys would never agree on a new one"
    )
    keyring.rotate(now=True)
    assert is_good(token())


@pytest.mark.django_db(transaction=True)
def test_sixteen_concurrent_threads_agree_on_the_first_key() -> None:
    made = together(16, lambda _i: keyring.signer().kid)

    assert set(made) == {SigningKey.objects.get().kid}

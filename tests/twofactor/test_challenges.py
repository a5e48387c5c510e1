"""WebAuthn challenges are valid for one act and five minutes, and work once."""

from typing import Any

import pytest
from django.core.management import call_command

from accounts.codes.models import UsedOnce
from accounts.twofactor import webauthn
from tests.support.clock import Clock

pytestmark = pytest.mark.django_db

ACT = "login"


def test_challenges_are_unique_and_hold_at_least_16_random_bytes() -> None:
    made = {webauthn.issue(ACT) for _ in range(50)}

    assert len({challenge[: webauthn.NONCE_BYTES] for challenge in made}) == 50
    # At least 16 random bytes (WebAuthn section 13.4.3).
    assert webauthn.NONCE_BYTES >= 16


def test_a_challenge_with_any_bit_changed_is_refused() -> None:
    challenge = webauthn.issue(ACT)

    for n in range(len(challenge) * 8):
        changed = bytearray(challenge)
        changed[n // 8] ^= 1 << n % 8
        assert not webauthn.is_good(bytes(changed), ACT), n
    for size in range(len(challenge)):
        assert not webauthn.is_good(challenge[:size], ACT), size
    assert not webauthn.is_good(challenge + b"\0", ACT)


def test_challenges_survive_a_secret_key_rotation_and_foreign_ones_are_refused(
    settings: Any,
) -> None:
    challenge, former = webauthn.issue(ACT), settings.SECRET_KEY
    settings.SECRET_KEY = "another key of fifty characters, as long as it takes"
    assert not webauthn.is_good(challenge, ACT)

    settings.SECRET_KEY_FALLBACKS = [former]

    assert webauthn.is_good(challenge, ACT)


def test_a_spent_challenge_is_pruned_only_after_it_has_expired(clock: Clock) -> None:
    challenge = webauthn.issue(ACT)
    webauthn.consume(challenge)
    # A challenge contains its time in whole seconds, and the clock has fractions.
    clock.advance(minutes=4, seconds=58)
    call_command("prune", verbosity=0)
    assert not webauthn.consume(challenge)

    clock.advance(seconds=2)
    call_command("prune", verbosity=0)

    assert not UsedOnce.objects.exists()
    assert not webauthn.is_good(challenge, ACT)

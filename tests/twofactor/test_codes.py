"""Codes, challenges and proofs of second factors."""

from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from accounts.codes.models import UsedOnce
from accounts.twofactor import webauthn
from accounts.twofactor.models import (
    MAILED_CODE,
    RECOVERY_CODE,
    TOTP_CODE,
    canonical,
    new_recovery_codes,
)
from tests.support.second_factor import code_of, enrolled
from tests.support.standards import proves


@proves("63B-3.1.4.2-a")
def test_codes_of_the_adjacent_time_steps_are_accepted_and_no_others(alice, clock):
    clock.set(datetime.fromtimestamp(1234567890, UTC))  # the first second of a time step
    seed = enrolled(alice)

    def accepted():
        codes = {steps: code_of(seed, steps) for steps in range(-4, 5)}
        return {
            steps for steps, code in codes.items() if alice.authenticator_set.get().consume(code)
        }

    assert accepted() == {-1, 0, 1}

    clock.advance(seconds=29.999)  # the last moment of the same time step
    assert accepted() == {-1, 0, 1}


@pytest.mark.parametrize(
    "typed, code, shape",
    [
        (" 123 456\t", "123456", TOTP_CODE),
        ("123-456", "123456", TOTP_CODE),
        ("\u0661\u0662\u0663\uff14\uff15\uff16", "123456", TOTP_CODE),
        ("ABCD-efghi-jkmn", "abcdefghijkmn", RECOVERY_CODE),
        ("1234 5678", "12345678", MAILED_CODE),
    ],
    ids=ascii,
)
def test_typed_codes_are_normalized_and_told_apart_by_shape(typed, code, shape):
    assert canonical(typed) == code
    assert [s for s in (TOTP_CODE, RECOVERY_CODE, MAILED_CODE) if s.fullmatch(code)] == [shape]


@proves("63B-3.1.2", "V6.5.4")
def test_recovery_codes_are_ten_unique_codes_of_65_bits():
    made = [code for _ in range(20) for code in new_recovery_codes()]

    assert len(set(made)) == len(made) == 200
    assert all(RECOVERY_CODE.fullmatch(code) for code in made)
    assert len({character for code in made for character in code}) >= 32, "five bits a character"


ACT = "login"


@proves("63B-3.1.6.2", "V6.7.2")
def test_challenges_are_unique_and_hold_at_least_16_random_bytes():
    """The number of bytes is from WebAuthn section 13.4.3."""
    made = {webauthn.issue(ACT)[: webauthn.NONCE_BYTES] for _ in range(50)}

    assert len(made) == 50
    assert webauthn.NONCE_BYTES >= 16


def test_a_challenge_with_any_bit_changed_is_refused():
    challenge = webauthn.issue(ACT)

    for n in range(len(challenge) * 8):
        changed = bytearray(challenge)
        changed[n // 8] ^= 1 << n % 8
        assert not webauthn.is_good(bytes(changed), ACT), n
    for size in range(len(challenge)):
        assert not webauthn.is_good(challenge[:size], ACT), size
    assert not webauthn.is_good(challenge + b"\0", ACT)


def test_challenges_survive_a_secret_key_rotation_and_foreign_ones_are_refused(settings):
    challenge, former = webauthn.issue(ACT), settings.SECRET_KEY
    settings.SECRET_KEY = "another key of fifty characters, as long as it takes"
    assert not webauthn.is_good(challenge, ACT)

    settings.SECRET_KEY_FALLBACKS = [former]

    assert webauthn.is_good(challenge, ACT)


def test_a_challenge_is_valid_for_five_minutes_and_then_pruned_if_it_was_used(clock):
    """Withstands a forger: an old challenge of a passkey."""
    clock.set(clock.now().replace(microsecond=0))  # a challenge contains its time in whole seconds
    challenge = webauthn.issue(ACT)
    webauthn.consume(challenge)
    clock.advance(minutes=4, seconds=59)
    call_command("prune", verbosity=0)
    assert webauthn.is_good(challenge, ACT)
    assert not webauthn.consume(challenge)

    clock.advance(seconds=1)
    call_command("prune", verbosity=0)

    assert not UsedOnce.objects.exists()
    assert not webauthn.is_good(challenge, ACT)

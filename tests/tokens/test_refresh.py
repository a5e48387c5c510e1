"""Refresh tokens by themselves: one form, one spelling, one successor."""

import base64
import re
import string
import uuid
from typing import Any

import pytest
from django.test import override_settings

from accounts.tokens import refresh

FAMILY = uuid.UUID("8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f10")
ALPHABET = string.ascii_letters + string.digits + "-_"


@pytest.fixture
def token() -> str:
    return refresh.first(FAMILY)


def test_a_token_names_its_family_and_has_a_secret_of_176_bits(token: str) -> None:
    for made in (token, refresh.successor(token), refresh.successor(refresh.successor(token))):
        assert re.fullmatch(r"[\w-]{72}", made, re.ASCII)
        assert refresh.family_of(made) == FAMILY
        assert base64.urlsafe_b64decode(made)[:16] == FAMILY.bytes
    secrets = {base64.urlsafe_b64decode(refresh.first(FAMILY))[16:38] for _ in range(1000)}
    assert len(secrets) == 1000


def test_every_character_counts(token: str) -> None:
    """A changed one anywhere, the spare bits of Base64 included, is another token: not ours."""
    for place, character in enumerate(token):
        for other in (ALPHABET[(ALPHABET.index(character) + n) % 64] for n in (1, 2, 4, 16, 32)):
            assert refresh.family_of(token[:place] + other + token[place + 1 :]) is None
    # What can't be read is compared as zeros, so that it takes as long; they are no token.
    for odd in ("A" * 72, "", f"{token}\n", f"{token}=", "\ud800" * 72, "é" * 36):
        assert refresh.family_of(odd) is None


def test_a_token_has_one_successor_and_no_two_have_the_same(token: str) -> None:
    chain = [token]
    for _ in range(100):
        assert refresh.successor(chain[-1]) == refresh.successor(chain[-1])
        chain.append(refresh.successor(chain[-1]))

    assert len(set(chain)) == 101
    assert len({refresh.digest(link) for link in chain}) == 101


def test_another_secret_key_makes_another_successor_and_reads_no_tag(
    token: str, settings: Any
) -> None:
    follower = refresh.successor(token)
    former = settings.SECRET_KEY
    new = {"SECRET_KEY": "n" * 50, "SECRET_KEY_FALLBACKS": []}

    with override_settings(**new):
        assert refresh.family_of(token) is None
        assert refresh.successor(token) != follower

    with override_settings(**new | {"SECRET_KEY_FALLBACKS": [former]}):
        assert refresh.family_of(token) == FAMILY
        # All but the tag, which is the newest key's.
        assert follower[:50] in [made[:50] for made in refresh.successors(token)]

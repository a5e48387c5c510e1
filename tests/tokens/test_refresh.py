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


def test_a_token_has_72_characters_and_names_its_family(token: str) -> None:
    assert refresh.LENGTH == 72
    for made in (token, refresh.successor(token), refresh.successor(refresh.successor(token))):
        assert re.fullmatch(r"[\w-]{72}", made, re.ASCII)
        assert refresh.family_of(made) == FAMILY
        assert base64.urlsafe_b64decode(made)[:16] == FAMILY.bytes


def test_its_secret_has_176_bits_and_no_two_are_alike() -> None:
    assert refresh.SECRET * 8 >= 160
    secrets = {base64.urlsafe_b64decode(refresh.first(FAMILY))[16:38] for _ in range(1000)}
    assert len(secrets) == 1000


def test_every_character_counts(token: str) -> None:
    """A changed one anywhere, the spare bits of Base64 included, is another token: not ours."""
    for place, character in enumerate(token):
        for other in (ALPHABET[(ALPHABET.index(character) + n) % 64] for n in (1, 2, 4, 16, 32)):
            assert refresh.family_of(token[:place] + other + token[place + 1 :]) is None


def spellings(token: str) -> list[str]:
    """What lenient readers of Base64 would take for the same."""
    return [
        *(token + more for more in ("=", "==", "====", "\n", " ", "A", "A===")),
        *(token[:36] + more + token[36:] for more in ("\n", " ", ".", "=", "\0", "é")),
        token[:-1],
        token[1:],
        token.lower(),
        token.replace("-", "+").replace("_", "/") + " ",
        token.encode().hex(),
        "",
        "\ud800" * 72,
        "é" * 36,
    ]


def test_it_has_one_spelling(token: str) -> None:
    assert refresh.family_of(token) == FAMILY
    assert [text for text in spellings(token) if refresh.family_of(text) is not None] == []


def test_the_other_alphabet_of_base64_is_another_spelling() -> None:
    token = next(t for t in iter(lambda: refresh.first(FAMILY), "") if {"-", "_"} & set(t))

    assert refresh.family_of(token.replace("-", "+").replace("_", "/")) is None


def test_a_tag_fits_no_other_family_and_no_other_secret(token: str) -> None:
    raw, other = base64.urlsafe_b64decode(token), uuid.uuid4().bytes

    for forged in (other + raw[16:], raw[:16] + bytes(22) + raw[38:], raw[:38] + bytes(16)):
        assert refresh.family_of(base64.urlsafe_b64encode(forged).decode()) is None


def test_nothing_is_the_token_of_zeros() -> None:
    """What can't be read is compared as zeros, so that it takes as long; they are no token."""
    zeros = base64.urlsafe_b64encode(bytes(54)).decode()

    assert refresh.family_of(zeros) is None


def test_a_token_has_one_successor_and_no_two_have_the_same(token: str) -> None:
    chain = [token]
    for _ in range(100):
        assert refresh.successor(chain[-1]) == refresh.successor(chain[-1])
        chain.append(refresh.successor(chain[-1]))

    assert len(set(chain)) == 101
    assert len({refresh.digest(link) for link in chain}) == 101


def test_a_digest_tells_nothing_of_the_token(token: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", refresh.digest(token))
    assert refresh.digest(token) not in token


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

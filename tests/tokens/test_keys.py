"""Signing keys and the command that replaces them."""

import json
from contextlib import suppress

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import JWKRegistry

from accounts.sessions.models import LoginSession
from accounts.tokens import keys, scopes
from accounts.tokens.scopes import AREAS, SCOPES, UnknownScope, is_covered, narrowed, parse, written
from tests.support.signing import PASSPHRASE, made_by
from tests.support.standards import proves

SSH = "ssh-keygen -q -f key.pem -N"

# ``test_1_5_…`` makes the keys of the docs.
TAKEN = {
    "openssl ecparam -name prime256v1 -genkey -noout -out key.pem": "ES256",
    "openssl ecparam -name prime256v1 -genkey -out key.pem": "ES256",
    f"{SSH} EMPTY -t rsa -b 2048": "RS256",
    f"{SSH} EMPTY -t ecdsa": "ES256",
    f"{SSH} EMPTY -t ed25519": "EdDSA",
}
GENPKEY = "openssl genpkey -out key.pem -algorithm"

REFUSED = {
    "openssl genrsa -out key.pem 1024": "2048 to 8192 bits here, and this one has 1024",
    "openssl genrsa -out key.pem -3 2048": "at least 65537",
    "openssl genrsa -out key.pem -primes 3 2048": "can’t be read",
    "openssl ecparam -name secp384r1 -genkey -noout -out key.pem": "secp384r1",
    "openssl ecparam -name secp256k1 -genkey -noout -out key.pem": "secp256k1",
    f"{GENPKEY} X25519": "of this kind",
    f"{GENPKEY} RSA-PSS -pkeyopt rsa_keygen_bits:2048": "RSA-PSS only",
}

ENCRYPTED = (
    "openssl genrsa -traditional -aes256 -passout pass:PASSPHRASE -out key.pem 2048",
    "openssl genpkey -algorithm ED25519 -aes256 -pass pass:PASSPHRASE -out key.pem",
    f"{SSH} PASSPHRASE -t ecdsa -m PKCS8",
    f"{SSH} PASSPHRASE -t ed25519",
)


def signs(key):
    """Return whether a token that ``key`` signs can be verified with the published JWK alone."""
    jwk = json.loads(json.dumps(keys.public_jwk(key)))
    token = jwt.encode({"sub": "alice"}, key, jwk["alg"])
    return jwt.decode(token, jwt.PyJWK(jwk), [jwk["alg"]]) == {"sub": "alice"}


@pytest.mark.parametrize("command, algorithm", TAKEN.items())
def test_keys_of_openssl_and_ssh_keygen_are_accepted(command, algorithm, tmp_path):
    key = keys.load(made_by(command, tmp_path))

    assert keys.algorithm_of(key) == keys.algorithm_of(key.public_key()) == algorithm
    assert signs(key)


@proves("V11.2.3", "V11.6.1")
@pytest.mark.parametrize("command, words", REFUSED.items())
def test_weak_and_unsupported_keys_are_refused_with_a_reason(command, words, tmp_path):
    """Withstands an operator's mistake."""
    text = made_by(command, tmp_path)

    with pytest.raises(keys.KeyRefused, match=words):
        keys.load(text)


@pytest.mark.parametrize("command", ENCRYPTED)
def test_an_encrypted_key_needs_its_passphrase(command, tmp_path):
    text = made_by(command, tmp_path)
    # The commands of openssl have this word as passphrase.
    passphrase = PASSPHRASE if command.startswith("ssh") else "PASSPHRASE"

    assert signs(keys.load(text, passphrase.encode()))
    with pytest.raises(keys.PassphraseNeeded):
        keys.load(text)
    with pytest.raises(keys.KeyRefused, match="passphrase is wrong"):
        keys.load(text, b"hunter2")


def test_a_file_without_a_private_key_and_a_useless_passphrase_are_refused_with_a_reason():
    key = keys.generate("EdDSA")

    with pytest.raises(keys.KeyRefused, match="no private key in PEM"):
        keys.load(json.dumps(keys.public_jwk(key)).encode())
    with pytest.raises(keys.KeyRefused, match="isn’t encrypted"):
        keys.load(keys.to_pem(key).encode(), b"hunter2")


@proves("V11.2.5")
@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
def test_a_damaged_key_is_refused_or_still_signs(kind, tmp_path):
    """A format without a checksum may still be read as another key, but not if it is cut off."""
    text = made_by(f"{SSH} EMPTY -t {kind}", tmp_path)

    for place in range(36, len(text) - 34):
        with pytest.raises(keys.KeyRefused):
            keys.load(text[:place])
        with suppress(keys.KeyRefused):
            assert signs(keys.load(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]))


@proves("V11.2.3")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_generated_key_is_strong_and_survives_a_round_trip_through_pem(algorithm):
    key = keys.generate(algorithm)
    jwk = keys.public_jwk(key)

    assert jwk == keys.public_jwk(keys.load(keys.to_pem(key).encode()))
    assert jwk.keys() == {*keys.MEMBERS[jwk["kty"]], "kid", "use", "alg"}, "nothing private"
    assert (jwk["use"], jwk["alg"]) == ("sig", algorithm)
    assert jwk["kid"] == JWKRegistry.import_key(jwk).thumbprint(), "RFC 7638"
    if isinstance(key, rsa.RSAPrivateKey):
        assert (key.key_size, key.public_key().public_numbers().e) == (3072, 65537)
    assert signs(key)


def test_a_scope_is_parsed_as_a_set_written_in_one_order_and_refused_if_unknown():
    assert parse("  write \t read\n") == {"read", "write"}
    assert written(parse("write sessions:read groups")) == "groups sessions:read write"
    longest = LoginSession._meta.get_field("scope").max_length
    assert longest is not None
    assert len(written(SCOPES)) <= longest
    assert parse(written(SCOPES)) == SCOPES

    for text in ("", " ", "READ", "*", "read,write", "read write admin", "read:", ":read",
                 "profile", "profile:own", "profile:read:write", "groups:read"):  # fmt: skip
        with pytest.raises(UnknownScope):
            parse(text)


def test_a_scope_is_told_by_right_and_area():
    told = {
        "profile:read activity:read sessions:read sessions:write groups": (
            "View: Profile, Activity; View and change: Devices; groups"
        ),
        "keys:write": "Change: API keys",
        "users:read": "users:read",
    }
    assert {scope: scopes.in_words(scope.split()) for scope in told} == told


def test_read_and_write_cover_every_area_and_an_area_covers_only_itself():
    for right, other in (("read", "write"), ("write", "read")):
        assert not is_covered(frozenset({right}), other)
        for area in AREAS:
            held = frozenset({f"{area}:{right}"})
            assert is_covered(frozenset({right}), f"{area}:{right}")
            assert not is_covered(frozenset({other, "groups"}), f"{area}:{right}")
            assert [scope for scope in SCOPES if is_covered(held, scope)] == [f"{area}:{right}"]


def test_a_scope_can_be_narrowed_and_a_wider_one_is_refused():
    assert narrowed(scopes.DEFAULT, None) == scopes.DEFAULT
    for scope in ("groups", "users:read", "admin:read", "admin:write"):
        assert not is_covered(scopes.DEFAULT, scope), "the default scope holds no rights of staff"
    for held in SCOPES:
        for wanted in SCOPES:
            if is_covered({held}, wanted):
                assert narrowed({held}, frozenset({wanted})) == {wanted}
                continue
            for asked in ({wanted}, {held, wanted}):
                with pytest.raises(UnknownScope):
                    narrowed({held}, frozenset(asked))

"""Signatures that are none, and keys that sign in another's name."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from django.test import Client

from accounts.tokens import keys, ring
from tests.support.api_jwt import (
    ALGORITHMS,
    ME,
    REVOKE,
    VERIFY,
    Mint,
    b64,
    by_key,
    call,
    get_tokens,
    join,
    key_of,
    mint_of,
    mint_with,
    taken,
    unb64,
)
from tests.support.steps import PASSWORD, make_user

pytestmark = pytest.mark.django_db

# Of the points of P-256 (SP 800-186 section 3.2.1.3).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def mint() -> Mint:
    return mint_with("ES256")


def as_is(signature: bytes) -> Any:
    """The same for whatever is signed."""
    return lambda _signed: signature


def raw_pair(r: int, s: int) -> bytes:
    """A signature as JWS has it (RFC 7518 section 3.4)."""
    return r.to_bytes(32) + s.to_bytes(32)


def test_cve_2022_21449_no_ecdsa_signature_out_of_shape_is_taken(mint: Mint) -> None:
    good = unb64(mint.token().split(".")[2])
    r, s = (int.from_bytes(good[i : i + 32]) for i in (0, 32))
    pairs = [(0, 0), (ORDER, ORDER), (0, s), (r, 0), (1, 1), (r, ORDER), (ORDER, s), (s, r),
             (ORDER - 1, ORDER - 1), (2**256 - 1, 2**256 - 1)]  # fmt: skip
    odd = [raw_pair(*pair) for pair in pairs]
    odd += [encode_dss_signature(*pair) for pair in ((r, s), (0, 0))]
    odd += [bytes(length) for length in (0, 1, 63, 64, 65, 96)]
    tokens = {sig.hex(): join(mint.header, mint.claims, as_is(sig)) for sig in odd}

    assert taken(tokens) == []


def test_the_twin_of_an_ecdsa_signature_is_the_same_token_and_dies_with_it(mint: Mint) -> None:
    """Anybody can make (r, -s) of (r, s): it's no second token of anything."""
    token = mint.token()
    signed, _, signature = token.rpartition(".")
    r, s = (int.from_bytes(unb64(signature)[i : i + 32]) for i in (0, 32))
    twin = f"{signed}.{b64(raw_pair(r, ORDER - s))}"
    assert call(Client(), VERIFY, {"token": twin}).json == mint.claims

    assert call(Client(), REVOKE, {"token": twin}).status == 200

    assert taken({"token": token, "twin": twin}) == []


def test_no_key_of_the_ring_signs_in_anothers_name() -> None:
    make_user("alice")
    for algorithm in ALGORITHMS:
        ring.add(key_of(algorithm))
    ring.add(other := keys.generate("ES256"))
    pairs = [*((key_of(algorithm), algorithm) for algorithm in ALGORITHMS), (other, "ES256")]
    ringed = [(keys.public_jwk(key)["kid"], key, algorithm) for key, algorithm in pairs]
    claims = mint_of(get_tokens(Client(), "alice", PASSWORD)["access"], None).claims
    right, crossed = [], {}
    for kid, _, named in ringed:
        for own, key, algorithm in ringed:
            for alg in {named, algorithm}:
                header = {"alg": alg, "kid": kid, "typ": "at+jwt"}
                token = join(header, claims, by_key(key, algorithm))
                if kid == own:
                    right.append(token)
                else:
                    crossed[f"{algorithm} as {alg} in the name of a key for {named}"] = token

    good = [call(Client(), ME, authorization=f"Bearer {token}").status for token in right]
    assert good == [200] * len(ringed)
    assert taken(crossed) == []


def test_a_key_on_another_curve_or_of_nobody_fits_no_name_of_ours(mint: Mint) -> None:
    curves = {"ES256": SECP256R1(), "ES384": SECP384R1(), "ES256K": SECP256K1()}
    tokens = {}
    for signs, curve in curves.items():
        own = generate_private_key(curve)
        for says in curves:
            header = mint.header | {"alg": says}
            tokens[f"{signs} as {says}"] = join(header, mint.claims, by_key(own, signs))

    assert taken(tokens) == []

"""Access tokens forged with public knowledge: every endpoint refuses them alike."""

import base64
import hashlib
import json
import socket
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.tokens import keyring, keys
from tests.support.api import claims_of, get_tokens
from tests.support.api_jwt import ME, REVOKE, VERIFY, accepted, answers_to, call
from tests.support.forgeries import (
    ALGORITHMS,
    by_hmac,
    by_key,
    decoded,
    encoded,
    join,
    key_of,
    mint_with,
    unsigned,
)
from tests.support.standards import proves
from tests.support.steps import make_user
from tests.support.wsgi import Program

# The order of P-256 (SP 800-186 section 3.2.1.3).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(params=ALGORITHMS)
def any_mint(request):
    return mint_with(request.param)


@pytest.fixture
def mint():
    return mint_with("ES256")


@proves("V9.1.2")
def test_1_3_an_unsigned_token_is_refused_in_every_spelling_of_none(mint):
    """Withstands a forger."""
    signature = decoded(mint.token().split(".")[2])
    tokens = {"bare": join({"alg": "none"}, mint.claims, unsigned)}
    for alg in ("none", "nOnE", "none ", "", None, 0, False, [], {}, ["none", "ES256"], "HS256"):
        header = mint.header | {"alg": alg}
        tokens[f"{alg!r} unsigned"] = join(header, mint.claims, unsigned)
        tokens[f"{alg!r} signed"] = join(header, mint.claims, mint.sign)
        tokens[f"{alg!r} copied"] = join(header, mint.claims, lambda _: signature)
    tokens["right alg, unsigned"] = join(mint.header, mint.claims, unsigned)
    tokens["no alg"] = mint.token({"alg": None})

    assert accepted(tokens) == []


def public_texts(mint):
    """Yield every text that could be taken for the public key."""
    key = mint.key.public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield from (pem, pem.strip(), b"".join(pem.split(b"\n")[1:-2]))
    yield key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    published = Program().get("/.well-known/jwks.json").content
    (jwk,) = json.loads(published)["keys"]
    assert jwk.keys() == {*keys.MEMBERS[jwk["kty"]], "kid", "use", "alg"}, "nothing private"
    yield from (published, json.dumps(jwk).encode())
    yield json.dumps(jwk, separators=(",", ":")).encode()
    for member in {"n", "x", "y", "kid"} & jwk.keys():
        yield from (jwk[member].encode(), decoded(jwk[member]))
    yield from (b"", b"\0" * 32)


def test_1_2_cve_2017_11424_cve_2022_29217_public_keys_cannot_sign_tokens(any_mint, settings):
    """Withstands a forger.

    Not even somebody who knows ``SECRET_KEY`` can sign tokens.
    """
    secret_key = settings.SECRET_KEY.encode()
    secrets = [*public_texts(any_mint), secret_key, hashlib.sha256(secret_key).digest()]
    tokens = {}
    for i, secret in enumerate(secrets):
        for alg, bits in (("HS256", 256), ("HS512", 512), (any_mint.algorithm, 256)):
            header = any_mint.header | {"alg": alg}
            tokens[f"{alg} {i}"] = join(header, any_mint.claims, by_hmac(secret, bits))
        stock = {"alg": "HS256", "typ": "JWT"}
        tokens[f"stock {i}"] = join(stock, any_mint.claims, by_hmac(secret))

    assert len(tokens) > 50
    assert accepted(tokens) == []


@proves("V9.1.3")
def test_keys_in_or_linked_from_a_token_are_neither_used_nor_fetched(mint):
    """Withstands a forger."""
    own = keys.generate("ES256")
    jwk, sign = keys.public_jwk(own), by_key(own, "ES256")
    der = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    listener = socket.create_server(("127.0.0.1", 0))
    issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
    brought: dict[str, Any] = {
        "jwk": jwk,
        "x5c": [base64.b64encode(der).decode()],
        "x5t#S256": encoded(hashlib.sha256(der).digest()),
        **dict.fromkeys(("jku", "x5u", "kid", "iss", "url"), f"{issuer}/jwks.json"),
    }
    tokens = {
        "ours": join(mint.header, mint.claims, sign),
        "iss": join(mint.header, mint.claims | {"iss": issuer}, sign),
    }
    for name, value in brought.items():
        for kid in (mint.header["kid"], jwk["kid"]):
            header = mint.header | {"kid": kid, name: value}
            tokens[f"{name} {kid}"] = join(header, mint.claims, sign)
        # The signature is ours, but the site writes no such header.
        tokens[f"{name} signed by us"] = mint.token({name: value})

    with listener:
        listener.setblocking(False)
        assert accepted(tokens) == []
        with pytest.raises(BlockingIOError):
            listener.accept()


@proves("V9.1.1")
def test_1_3_a_token_that_was_changed_anywhere_is_refused(any_mint):
    """Withstands a forger."""
    token = any_mint.token()
    statuses = [answer.status for answer in answers_to(Program(), token)]
    assert statuses == [200, 200, 200, 200, 401], "a good access token, and no refresh token"
    header, claims, signature = token.split(".")
    make_user("bob")
    bobs = get_tokens("bob")["access"]
    to_bob = encoded(json.dumps(any_mint.claims | {"sub": claims_of(bobs)["sub"]}))
    reordered = encoded(json.dumps(any_mint.claims, sort_keys=True))
    raw = decoded(signature)
    tokens = {
        "payload": f"{header}.{to_bob}.{signature}",
        "payload of another": f"{header}.{bobs.split('.')[1]}.{signature}",
        "signature of another": f"{header}.{claims}.{bobs.split('.')[2]}",
        "header and payload swapped": f"{claims}.{header}.{signature}",
        "reordered claims": f"{header}.{reordered}.{signature}",
        "no signature": f"{header}.{claims}.",
        "no payload": f"{header}..{signature}",
        "no header": f".{claims}.{signature}",
        "two parts": f"{header}.{claims}",
        "four parts": f"{token}.{signature}",
        "padded": f"{token}=",
        "quoted": f'"{token}"',
        "encrypted": f"{header}..{claims}.{signature}.{signature}",
        "doubled signature": f"{header}.{claims}.{encoded(raw * 2)}",
        "shorter signature": f"{header}.{claims}.{encoded(raw[:-1])}",
        "longer signature": f"{header}.{claims}.{encoded(raw + b'\0')}",
        "flattened": json.dumps({"protected": header, "payload": claims, "signature": signature}),
    }
    for i in (0, len(raw) // 2, len(raw) - 1):
        turned = raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]
        tokens[f"byte {i}"] = f"{header}.{claims}.{encoded(turned)}"

    assert accepted(tokens) == []


@proves("V11.2.5")
def test_cve_2022_21449_malformed_ecdsa_signatures_are_refused_and_a_twin_is_revoked_too(mint):
    """Withstands a forger.

    Anybody can turn the signature (r, s) into its twin (r, -s), so both must be one token.
    """
    signed, _, signature = (token := mint.token()).rpartition(".")
    r, s = (int.from_bytes(decoded(signature)[i : i + 32]) for i in (0, 32))

    def raw(r, s):
        """Return the signature as RFC 7518 section 3.4 writes it."""
        return r.to_bytes(32) + s.to_bytes(32)

    odd = [raw(0, 0), raw(ORDER, ORDER), raw(0, s), raw(r, 0), raw(1, 1), raw(r, ORDER),
           raw(ORDER, s), raw(s, r), raw(2**256 - 1, 2**256 - 1), encode_dss_signature(r, s),
           encode_dss_signature(0, 0), *(bytes(n) for n in (0, 1, 63, 64, 65, 96))]  # fmt: skip
    assert accepted({other.hex(): f"{signed}.{encoded(other)}" for other in odd}) == []
    twin = f"{signed}.{encoded(raw(r, ORDER - s))}"
    assert call(Program(), VERIFY, {"token": twin}).body == mint.claims

    assert call(Program(), REVOKE, {"token": twin}).status == 200

    assert accepted({"token": token, "twin": twin}) == []


def test_a_signing_key_cannot_sign_under_the_id_of_another_key():
    """Withstands a forger."""
    mint = mint_with("ES256")
    others = [key_of("RS256"), key_of("EdDSA"), keys.generate("ES256")]
    for key in others:
        keyring.add(key)
    jwks = [(keys.public_jwk(key), key) for key in (mint.key, *others)]
    ringed = [(jwk["kid"], key, jwk["alg"]) for jwk, key in jwks]
    crossed = {}
    for kid, _, named in ringed:
        for own, key, algorithm in ringed:
            for alg in {named, algorithm}:
                header = {"alg": alg, "kid": kid, "typ": "at+jwt"}
                token = join(header, mint.claims, by_key(key, algorithm))
                if kid == own:
                    assert call(Program(), ME, authorization=f"Bearer {token}").status == 200
                else:
                    crossed[f"{algorithm} as {alg} in the name of a key for {named}"] = token

    assert accepted(crossed) == []


@proves("V9.1.2")
def test_another_algorithm_of_the_same_key_is_refused():
    """Withstands a forger."""
    mint = mint_with("RS256")
    tokens = {}
    for alg in ("RS384", "PS256"):
        header, sign = mint.header | {"alg": alg}, by_key(mint.key, alg)
        tokens[f"{alg} said"] = join(header, mint.claims, sign)
        tokens[f"{alg} not said"] = join(mint.header, mint.claims, sign)
        tokens[f"{alg} said only"] = join(header, mint.claims, mint.sign)

    assert accepted(tokens) == []

"""Access tokens forged by whoever knows all that is public: every call refuses them alike."""

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from accounts.tokens import keys
from tests.support.api_jwt import (
    ALGORITHMS,
    Mint,
    b64,
    by_hmac,
    by_key,
    get_tokens,
    join,
    mint_with,
    refused,
    shown,
    taken,
    text_of,
    unb64,
    unsigned,
)
from tests.support.steps import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(params=ALGORITHMS)
def any_mint(request: pytest.FixtureRequest) -> Mint:
    return mint_with(request.param)


@pytest.fixture
def mint() -> Mint:
    return mint_with("ES256")


def test_the_token_that_the_forgeries_are_made_of_is_good(any_mint: Mint) -> None:
    statuses = [answer.status for answer in shown(Client(), any_mint.token())]

    assert statuses == [200, 200, 200, 200, 401], "it's no refresh token"


def test_an_unsigned_token_is_refused_however_none_is_written(any_mint: Mint) -> None:
    signature = unb64(any_mint.token().split(".")[2])
    algorithm = any_mint.algorithm
    names = ("none", "nOnE", "NONE", "None", "none ", "", " ", "null", None, 0, False, [], {},
             ["none"], ["none", algorithm], {"none": 1}, "HS256", algorithm)  # fmt: skip
    tokens = {}
    for alg in names:
        header = any_mint.header | {"alg": alg}
        tokens[f"{alg!r} unsigned"] = join(header, any_mint.claims, unsigned)
        if alg != algorithm:
            tokens[f"{alg!r} signed"] = join(header, any_mint.claims, any_mint.sign)
            tokens[f"{alg!r} copied"] = join(header, any_mint.claims, lambda _: signature)
    tokens["no alg"] = any_mint.token({"alg": None})
    tokens["bare"] = join({"alg": "none"}, any_mint.claims, unsigned)
    tokens["JWT"] = join({"alg": "none", "typ": "JWT"}, any_mint.claims, unsigned)

    assert taken(tokens) == []


def public_texts(mint: Mint) -> Iterator[bytes]:
    """Everything that could be called the public key."""
    key = mint.key.public_key()
    published = Client().get("/.well-known/jwks.json").content
    jwk = json.loads(published)["keys"][0]
    for encoding in (Encoding.PEM, Encoding.DER):
        yield key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield from (pem.strip(), pem.replace(b"\n", b"\r\n"), b"".join(pem.split(b"\n")[1:-2]))
    if mint.algorithm == "RS256":
        for encoding in (Encoding.PEM, Encoding.DER):
            yield key.public_bytes(encoding, PublicFormat.PKCS1)
    if mint.algorithm == "EdDSA":
        yield key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    yield from (
        published,
        json.dumps(jwk).encode(),
        json.dumps(jwk, separators=(",", ":")).encode(),
    )
    yield json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()
    for member in ("n", "e", "x", "y", "kid"):
        if member in jwk:
            yield from (jwk[member].encode(), unb64(jwk[member]))
    yield from (b"", b"\0", b"\0" * 32)


def test_cve_2017_11424_cve_2022_29217_no_public_key_is_a_secret_to_sign_with(
    any_mint: Mint,
) -> None:
    tokens = {}
    for i, secret in enumerate(public_texts(any_mint)):
        for bits in (256, 384, 512):
            sign = by_hmac(secret, bits)
            for alg in (f"HS{bits}", any_mint.algorithm):
                header = any_mint.header | {"alg": alg}
                tokens[f"{alg} {i}"] = join(header, any_mint.claims, sign)
            tokens[f"stock {bits} {i}"] = join(
                {"alg": f"HS{bits}", "typ": "JWT"}, any_mint.claims, sign
            )

    assert len(tokens) > 100
    assert taken(tokens) == []


def test_whoever_knows_the_sites_secret_key_mints_nothing_either(mint: Mint, settings: Any) -> None:
    for secret in (
        settings.SECRET_KEY.encode(),
        hashlib.sha256(settings.SECRET_KEY.encode()).digest(),
    ):
        for header in ({"alg": "HS256", "typ": "JWT"}, mint.header | {"alg": "HS256"}):
            assert refused(Client(), join(header, mint.claims, by_hmac(secret)))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of mallory's, on which nobody has called yet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_a_key_brought_along_or_pointed_at_is_not_used_and_nothing_is_fetched(
    any_mint: Mint, listener: socket.socket
) -> None:
    own = keys.generate("ES256")
    jwk = keys.public_jwk(own)
    der = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    port = listener.getsockname()[1]
    brought: dict[str, Any] = {
        "jwk": jwk,
        "x5c": [base64.b64encode(der).decode()],
        "x5t": b64(hashlib.sha1(der).digest()),  # noqa: S324 that's what x5t is
        "x5t#S256": b64(hashlib.sha256(der).digest()),
    }
    for name in ("jku", "x5u", "kid", "iss", "url", "x5c"):
        brought[f"{name}"] = brought.get(name, f"http://127.0.0.1:{port}/jwks.json")
    brought["jku "] = f"file:///dev/tcp/127.0.0.1/{port}"
    tokens = {"ours": join(any_mint.header, any_mint.claims, by_key(own, "ES256"))}
    for name, value in brought.items():
        more = {name.strip(): value}
        for kid in (any_mint.header["kid"], jwk["kid"], None):
            header = {"alg": "ES256", "typ": "at+jwt", "kid": kid, **more}
            tokens[f"{name} {kid}"] = join(header, any_mint.claims, by_key(own, "ES256"))
        # Signed by us with it: then it was never we who wrote that header.
        tokens[f"{name} signed by us"] = any_mint.token(more)
    issuer = f"http://127.0.0.1:{port}"
    tokens["iss"] = join(any_mint.header, any_mint.claims | {"iss": issuer}, by_key(own, "ES256"))

    assert taken(tokens) == []
    with pytest.raises(BlockingIOError):
        listener.accept()


ODD_KIDS = ("", " ", "../../../../dev/null", "/dev/null", "/etc/passwd", "file:///dev/null",
            "' OR 1=1 --", "' UNION SELECT 'A", "\0", "a\0b", "|id", "$(id)", "a" * 43, "-" * 43,
            "\u0661" * 43, "\ud800", "\u202e", "a" * 5000, 0, 1, -1, 1.5, 10**300, True, [], ["a"],
            {}, {"kid": "a"}, [[]])  # fmt: skip


def test_an_odd_kid_opens_nothing_whoever_signs(mint: Mint) -> None:
    own = by_key(keys.generate("ES256"), "ES256")
    kid = mint.header["kid"]
    odd = [*ODD_KIDS, [kid], {kid: 1}, f"{kid} ", f" {kid}", kid[:-1], f"{kid}\n", f"{kid}\0",
           kid.swapcase(), f"./{kid}", b64(kid)]  # fmt: skip
    tokens = {}
    for other in odd:
        header = mint.header | {"kid": other}
        tokens[f"ours {other!r:.60}"] = join(header, mint.claims, mint.sign)
        tokens[f"own {other!r:.60}"] = join(header, mint.claims, own)
        tokens[f"empty {other!r:.60}"] = join(header | {"alg": "HS256"}, mint.claims, by_hmac(b""))

    assert taken(tokens) == []


def test_a_token_changed_anywhere_is_refused(any_mint: Mint) -> None:
    token = any_mint.token()
    header, claims, signature = token.split(".")
    sorted_claims = b64(json.dumps(any_mint.claims, sort_keys=True))
    make_user("bob")
    bobs = get_tokens(Client(), "bob", PASSWORD)["access"].split(".")
    raw = unb64(signature)
    to_bob = any_mint.claims | {"sub": json.loads(unb64(bobs[1]))["sub"]}
    tokens = {
        "payload": f"{header}.{b64(text_of(to_bob))}.{signature}",
        "payload of another": f"{header}.{bobs[1]}.{signature}",
        "signature of another": f"{header}.{claims}.{bobs[2]}",
        "header and payload swapped": f"{claims}.{header}.{signature}",
        "payload and signature swapped": f"{header}.{signature}.{claims}",
        "reordered claims": f"{header}.{sorted_claims}.{signature}",
        "no signature": f"{header}.{claims}.",
        "no payload": f"{header}..{signature}",
        "no header": f".{claims}.{signature}",
        "two parts": f"{header}.{claims}",
        "four parts": f"{token}.{signature}",
        "five parts": f"{header}..{claims}.{signature}.{signature}",
        "twice": f"{token}.{token}",
        "doubled signature": f"{header}.{claims}.{b64(raw * 2)}",
        "shorter signature": f"{header}.{claims}.{b64(raw[:-1])}",
        "longer signature": f"{header}.{claims}.{b64(raw + b'\0')}",
        "zeros before": f"{header}.{claims}.{b64(b'\0' + raw)}",
        "flattened": json.dumps({"protected": header, "payload": claims, "signature": signature}),
        "general": json.dumps({"payload": claims, "signatures": [{"signature": signature}]}),
    }
    for i in (0, len(raw) // 2, len(raw) - 1):
        for bit in (1, 128):
            turned = raw[:i] + bytes([raw[i] ^ bit]) + raw[i + 1 :]
            tokens[f"bit {bit} of byte {i}"] = f"{header}.{claims}.{b64(turned)}"

    assert taken(tokens) == []


ENDS = ("=", "==", "===", "====", " ", "\n", "\t", "\0", "!", "%", "A", "AA", "AAAA", "\u00e9",
        "\u0661", "=A", "==AAAA", "\u200b")  # fmt: skip


def test_a_token_has_one_spelling(any_mint: Mint) -> None:
    """Nothing is kept by a token's text, so another one would do no harm; but none is taken."""
    token = any_mint.token()
    segments = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    tokens = {}
    for i, segment in enumerate(segments):
        place = alphabet.index(segment[-1])
        spare = {1: 0, 2: 15, 3: 3, 0: 0}[len(segment) % 4]
        others = [segment[:-1] + alphabet[place ^ bits] for bits in range(1, spare + 1)]
        others += [f"{segment}{end}" for end in ENDS]
        others += [f"{segment[:9]}{inside}{segment[9:]}" for inside in ("\n", " ", "!", "=", "\0")]
        others += [segment.replace("-", "+").replace("_", "/") + "+", segment.lower()]
        for other in others:
            changed = [*segments[:i], other, *segments[i + 1 :]]
            tokens[f"{i} {other[-20:]!r}"] = ".".join(changed)
    tokens |= {
        "quoted": f'"{token}"',
        "dots": f"{token}.",
        "prefix": f"Bearer {token}",
        "comma": f"{token},{token}",
        "wide": token.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789abc"}),
    }

    # Blanks around a token are no part of it, in a header as in a field.
    assert {tokens[name].strip() for name in taken(tokens)} == {token}

"""Answers that no browser sends: JSON in and out of shape, in base64 and CBOR too."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import cbor2
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from tests.support.webauthn import ATTESTED, PRESENT, VERIFIED, Passkey

# Puts a good answer together, with a challenge of its own.
type Make = Callable[[], str]

# What stands where something else belongs. A lone surrogate comes by an escape of JSON.
ODD: list[Any] = [
    *(None, True, 10**30, [], [[]], {"a": {}}),
    *("", "a", "aaaaa", "é", "\0", "\ud800", "A" * 10_000),
]
BODIES = [
    *("", "null", "[]", "{}", '"a"', "1", "1e999", "NaN", "{", "\0", "\ufeff{}", "nul"),
    "1" * 19_000,
    "[" * 19_000,
    '{"response":' * 1500 + "1" + "}" * 1500,
    '{"id": "a", "response": {"clientDataJSON": "' + "A" * 15_000 + '"}}',
    "A" * 300_000,
    '{"id":"a","id":"b","rawId":"a","type":"public-key","response":{"clientDataJSON":"e30"}}',
]


def around(make: Make) -> Iterator[str]:
    """An answer with each of its parts odd, missing or twice."""
    whole = json.loads(make())
    for path in [(key,) for key in whole] + [("response", key) for key in whole["response"]]:
        for odd in ODD:
            yield _changed(make(), path, odd)
        yield _changed(make(), path)
    for field in ("userHandle", "authenticatorAttachment", "transports"):
        for odd in ODD:
            yield _changed(make(), (field,), odd)
            yield _changed(make(), ("response", field), odd)
    yield from client_data_of(make)
    yield make()[:-1] + ', "id": "twice", "response": {}}'


def client_data_of(make: Make) -> Iterator[str]:
    """An answer with the data that the browser had signed out of shape."""
    said = json.loads(base64url_to_bytes(json.loads(make())["response"]["clientDataJSON"]))
    for key in (*said, "tokenBinding"):
        for odd in (*ODD, {"status": "present", "id": []}, {"status": []}):
            yield _with(make(), "clientDataJSON", json.dumps({**said, key: odd}).encode())
    whole = json.dumps(said)
    deep = whole[:-1] + ', "x":' + "[" * 5000 + "]" * 5000 + "}"
    for raw in (b"", b"[]", b"\xff\xfe", b"\xff" * 9, whole.encode("utf-16"), deep.encode()):
        yield _with(make(), "clientDataJSON", raw)


def cut(make: Make, field: str) -> Iterator[str]:
    """An answer with the bytes of ``field`` ended early, or gone on with."""
    raw = base64url_to_bytes(json.loads(make())["response"][field])
    for size in {0, 1, 31, 32, 33, 36, 37, 38, 53, 55, len(raw) // 2, len(raw) - 1}:
        yield _with(make(), field, raw[:size])
    for more in (b"\0", b"\xff" * 40, b"\x81" * 5000):
        yield _with(make(), field, raw + more)
    for n in range(0, len(raw), 17):
        yield _with(make(), field, raw[:n] + bytes([raw[n] ^ 0x9F]) + raw[n + 1 :])


def statements(key: Passkey, options: dict[str, Any]) -> Iterator[str]:
    """Registrations with attestations that nobody has asked for, and that are none."""
    forms = ["packed", "tpm", "android-key", "android-safetynet", "apple", "fido-u2f", "none", "x"]
    parts = [b"", b"\x30\x80", b"a" * 40, "a", 0, -7, [], {}, [b""], [b"\x30\x03\x02\x01\x01"]]
    names = ["x5c", "sig", "alg", "ver", "response", "certInfo", "pubArea"]
    for form in forms:
        yield key.create(options, attestation={"fmt": form, "attStmt": {}})
        for part in parts:
            every = dict.fromkeys(names, part)
            yield key.create(options, attestation={"fmt": form, "attStmt": every})
            signed = {"alg": -7, "sig": b"a", "ver": "2.0", "x5c": part}
            yield key.create(options, attestation={"fmt": form, "attStmt": signed})
    for odd in ([], 0, None, b"none", "a" * 9000):
        yield key.create(options, attestation={"fmt": odd})
        yield key.create(options, attestation={"attStmt": odd})
        yield key.create(options, attestation={"authData": odd})
    deep = b"\x81" * 9000 + b"\x80"
    for raw in (
        b"",
        b"\xff",
        b"\x9f",
        deep,
        b"\xbf" * 3000,
        cbor2.dumps([1]),
        b"\x1b" + b"\xff" * 8,
    ):
        yield key.create(options, response={"attestationObject": bytes_to_base64url(raw)})


def keys(key: Passkey, options: dict[str, Any]) -> Iterator[str]:
    """Registrations whose public key is none."""
    head = key.answer(options, "webauthn.create", options["rp"]["id"], {})
    head.flags = PRESENT | VERIFIED | ATTESTED
    size = len(key.raw_id).to_bytes(2)
    bad: list[Any] = [
        *({}, [], 0, {1: 2}, {1: 2, 3: -7}, {1: 2, 3: -7, -1: 1, -2: b"", -3: b""}),
        *({1: 2, 3: -7, -1: 9, -2: bytes(32), -3: bytes(32)}, {1: 2, 3: 0, -1: 1}),
        *({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}, {1: [], 3: {}}),
        *({1: 3, 3: -257, -1: b"", -2: b""}, {1: 3, 3: -257, -1: b"\1", -2: b"\2"}),
        {1: 1, 3: -8, -1: 6, -2: b"a"},
        {1: 2, 3: -7, -1: 1, -2: 5, -3: "a"},
    ]
    for cose in bad:
        data = head.head + bytes(16) + size + key.raw_id + cbor2.dumps(cose)
        yield key.create(options, attestation={"authData": data})


def _with(text: str, field: str, raw: bytes) -> str:
    return _changed(text, ("response", field), bytes_to_base64url(raw))


def _changed(text: str, path: tuple[str, ...], *value: Any) -> str:
    whole = json.loads(text)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner.pop(path[-1], None)
    if value:
        inner[path[-1]] = value[0]
    return json.dumps(whole)

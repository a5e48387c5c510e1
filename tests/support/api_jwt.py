"""Tokens as attackers make them, and the calls that they are shown to."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from django.test import Client as Browser

from tests.support.client import Client

type Sign = Callable[[bytes], bytes]
type Json = dict[str, Any]

API = "/api/v1/"
ME, TOKEN, REFRESH = f"{API}me/", f"{API}token/", f"{API}token/refresh/"
VERIFY, REVOKE = f"{API}token/verify/", f"{API}token/revoke/"
REFUSED = (401, "token_not_valid")
# A longer user of HTTP Basic is a token.
LONGEST_NAME = 254
ALGORITHMS = ("RS256", "ES256", "EdDSA")
KEYS: Json = {}


def b64(raw: bytes | str) -> str:
    """As a segment of a token: base64url without padding (RFC 7515 section 2)."""
    raw = raw.encode() if isinstance(raw, str) else raw
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """What a segment says."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text_of(part: Any) -> bytes | str:
    """A part of a token as it's written: JSON, unless it's text already."""
    return part if isinstance(part, bytes | str) else json.dumps(part, separators=(",", ":"))


def join(header: Any, claims: Any, sign: Sign) -> str:
    """A token of these parts."""
    signed = f"{b64(text_of(header))}.{b64(text_of(claims))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def by_hmac(secret: bytes, bits: int = 256) -> Sign:
    """A symmetric signature, for whoever would verify by a key that all may know."""
    return lambda signed: hmac.digest(secret, signed, getattr(hashlib, f"sha{bits}"))


def by_key(key: Any, algorithm: str) -> Sign:
    """A signature by a private key."""
    return lambda signed: jwt.get_algorithm_by_name(algorithm).sign(signed, key)


def unsigned(signed: bytes) -> bytes:
    """None."""
    return b""


@dataclass(frozen=True)
class Mint:
    """A private key with its name, and a good token's header and claims to make others of."""

    key: Any
    algorithm: str
    header: Json
    claims: Json

    @property
    def sign(self) -> Sign:
        """As the site signs."""
        return by_key(self.key, self.algorithm)

    def token(self, header: Json | None = None, **claims: Any) -> str:
        """The good token with these changes; ``None`` leaves a member out."""
        return join(_changed(self.header, header or {}), _changed(self.claims, claims), self.sign)


def mint_of(token: str, key: Any) -> Mint:
    """What has made ``token``."""
    header, claims = (json.loads(unb64(part)) for part in token.split(".")[:2])
    return Mint(key, header["alg"], header, claims)


def _changed(old: Json, changes: Json) -> Json:
    return {name: value for name, value in {**old, **changes}.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """What a call has answered."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def short(self) -> tuple[int, str]:
        """Status and code."""
        return self.status, self.json["code"]


def call(
    client: Browser | Client,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    kind: str = "application/json",
    authorization: str | None = None,
    **headers: str,
) -> Answer:
    """One call, in process or at the real site: ``body`` as JSON, or as it is if it's bytes."""
    if not isinstance(body, bytes | None):
        body = json.dumps(body).encode()
    method = method or ("GET" if body is None else "POST")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if authorization is not None:
        sent["Authorization"] = authorization
    if isinstance(client, Client):
        answer = client.request(method, path, body=body, headers={"Content-Type": kind, **sent})
        return Answer(answer.status, answer.headers, answer.body)
    here = client.generic(method, path, body or b"", content_type=kind, headers=sent)
    return Answer(here.status_code, here, here.content)


def basic(name: str | bytes, password: str = "x") -> str:  # noqa: S107 a token needs none
    """``Authorization`` by HTTP Basic."""
    raw = name.encode() if isinstance(name, str) else name
    return "Basic " + base64.b64encode(raw + b":" + password.encode()).decode()


def get_tokens(client: Browser | Client, name: str, password: str, **wish: str) -> Json:
    """The tokens that a password buys."""
    answer = call(client, TOKEN, wish, authorization=basic(name, password))
    assert answer.status == 200, answer.body
    return dict(answer.json)


def shown(client: Browser | Client, token: str) -> list[Answer]:
    """What every call answers that takes an access token."""
    return [
        call(client, ME, authorization=f"Bearer {token}"),
        call(client, ME, authorization=basic(token)),
        call(client, TOKEN, {}, authorization=basic(token)),
        call(client, VERIFY, {"token": token}),
        call(client, REFRESH, {"refresh": token}),
    ]


def refused(client: Browser | Client, token: str) -> bool:
    """Whether it's refused by all of them, in the very words.

    What is no longer than a name, or no plain text, may be taken for something else before that:
    there a refusal of any kind is one.
    """
    answers = shown(client, token)
    is_plain = token.isascii() and token.isprintable() and ":" not in token
    if len(token) <= LONGEST_NAME or not is_plain:
        return {answer.status for answer in answers} <= {400, 401}
    challenges = [answer.headers.get("WWW-Authenticate", "") for answer in answers]
    return [(answer.status, answer.json.get("code")) for answer in answers] == [REFUSED] * len(
        answers
    ) and all(challenge.startswith("Bearer") for challenge in challenges)


def taken(tokens: dict[str, str], client: Browser | Client | None = None) -> list[str]:
    """The names of those that some call doesn't refuse."""
    client = client or Browser()
    return [name for name, token in tokens.items() if not refused(client, token)]


def key_of(algorithm: str) -> Any:
    """A key of that kind, made once: RSA's take long."""
    from accounts.tokens import keys

    if algorithm not in KEYS:
        KEYS[algorithm] = keys.generate(algorithm)
    return KEYS[algorithm]


def mint_with(algorithm: str) -> Mint:
    """What makes alice's tokens in process, by a key of that kind."""
    from accounts.tokens import ring
    from tests.support.steps import PASSWORD, make_user

    ring.add(key_of(algorithm))
    make_user("alice")
    return mint_of(get_tokens(Browser(), "alice", PASSWORD)["access"], key_of(algorithm))

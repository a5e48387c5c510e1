"""Tokens as forgers make them who know what is public; others that the site would never make."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def encoded(data: bytes) -> str:
    """As each of the three parts of a token is."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """The bytes of one."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Forger:
    """Makes tokens after a good one, by RS256; ``key`` is the site's own."""

    def __init__(self, good: str, key: RSAPrivateKey) -> None:
        self.good, self._key = good, key
        head, claims, _signature = good.split(".")
        self._header: dict[str, Any] = json.loads(decoded(head))
        self._claims: dict[str, Any] = json.loads(decoded(claims))
        self._other = generate_private_key(65537, 2048)

    def by_strangers(self) -> dict[str, str]:
        """By those who have a good token and the public key."""
        head, body, signature = self.good.split(".")
        public = self._key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
        flipped = bytes([decoded(signature)[0] ^ 1]) + decoded(signature)[1:]
        alone = {"alg": "RS256", "typ": "at+jwt"}
        return {
            "payload changed": f"{head}.{self._body(scope='read write groups')}.{signature}",
            "signature changed": f"{head}.{body}.{encoded(flipped)}",
            "no signature": f"{head}.{body}.",
            "signature of another part": f"{body}.{head}.{signature}",
            "none": f"{self._head(alg='none')}.{body}.",
            "nOnE": f"{self._head(alg='nOnE')}.{body}.{signature}",
            "HS256 with the PEM": self._hmac(pem),
            "HS256 with the stripped PEM": self._hmac(pem.strip()),
            "HS256 with the DER": self._hmac(der),
            "HS256 with the JWK": self._hmac(json.dumps(jwk).encode()),
            "HS256 with n": self._hmac(decoded(jwk["n"])),
            "another key": self._signed(self._other),
            "another key, shown": self._signed(
                self._other, jwk=jwt.algorithms.RSAAlgorithm.to_jwk(self._other.public_key(), True)
            ),
            "unknown kid": self._signed(self._other, kid=encoded(hashlib.sha256(b"").digest())),
            "no kid": f"{encoded(json.dumps(alone).encode())}.{body}.{signature}",
            "nothing": "",
            "no token": "a.b.c",
        }

    def by_the_site(self) -> dict[str, str]:
        """With the site's own key, and yet no good access token for the audience of ``good``."""
        now, issuer, audience = int(time.time()), self._claims["iss"], self._claims["aud"]
        claims: dict[str, dict[str, Any]] = {
            "expired": {"exp": now - 10},
            "not begun": {"nbf": now + 60},
            "without an end": {"exp": None},
            "another audience": {"aud": issuer},
            "prefix of the audience": {"aud": audience[:-1]},
            "longer audience": {"aud": f"{audience}/"},
            "another issuer": {"iss": "https://mallory.example"},
            "prefix of the issuer": {"iss": issuer[:-1]},
            "issuer with a slash": {"iss": f"{issuer}/"},
        }
        made = {name: self._signed(self._key, claims=change) for name, change in claims.items()}
        return made | {
            "typ: JWT": self._signed(self._key, typ="JWT"),
            "no typ": self._signed(self._key, typ=None),
            "RS384": self._signed(self._key, alg="RS384"),
            "PS256": self._signed(self._key, alg="PS256"),
        }

    def signed_as_good(self) -> str:
        """By the site's own key and in nothing different: it's good."""
        return self._signed(self._key)

    def _head(self, **changes: Any) -> str:
        return encoded(json.dumps(self._header | changes).encode())

    def _body(self, **changes: Any) -> str:
        kept = {name: v for name, v in (self._claims | changes).items() if v is not None}
        return encoded(json.dumps(kept).encode())

    def _hmac(self, secret: bytes) -> str:
        text = f"{self._head(alg='HS256')}.{self._body()}"
        return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256'))}"

    def _signed(
        self, key: RSAPrivateKey, claims: dict[str, Any] | None = None, **header: Any
    ) -> str:
        head = {name: v for name, v in (self._header | header).items() if v is not None}
        text = f"{encoded(json.dumps(head).encode())}.{self._body(**(claims or {}))}"
        algorithm = jwt.get_algorithm_by_name(head["alg"])
        return f"{text}.{encoded(algorithm.sign(text.encode(), key))}"

"""Forged ID tokens of a provider."""

import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from accounts.users.models import Identity, User
from tests.support.forgeries import decoded, encoded
from tests.support.openid_provider import OpenIDProvider
from tests.support.social import round_trip
from tests.support.steps import is_signed_in

type Json = dict[str, Any]
type Sign = Callable[[OpenIDProvider, bytes], bytes]


def signed_by(key: Any = None, algorithm: str = "ES256") -> Sign:
    """Sign with ``key``, or with the key that the provider publishes."""

    def sign(op: OpenIDProvider, text: bytes) -> bytes:
        made = jwt.get_algorithm_by_name(algorithm)
        return made.sign(text, (key or op.published).private_key)

    return sign


def unsigned(_op: OpenIDProvider, _text: bytes) -> bytes:
    return b""


def hs256(secret: Callable[[OpenIDProvider], bytes]) -> Sign:
    """Sign with a secret that others know, too."""
    return lambda op, text: hmac.digest(secret(op), text, "sha256")


def pem(op: OpenIDProvider) -> bytes:
    public = op.published.public_key
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forge(op: OpenIDProvider, head: Json, claims: Json, sign: Sign) -> None:
    """Make the provider issue ID tokens with these changes and this signature."""
    made = op._id_token

    def laid_over(part: str, changes: Json) -> str:
        right = json.loads(decoded(part))
        changed = {k: v(right[k]) if callable(v) else v for k, v in changes.items()}
        merged = {k: v for k, v in (right | changed).items() if v is not None}
        return encoded(json.dumps(merged).encode())

    def forged(grant: Any) -> str:
        header, body, _signature = made(grant).split(".")
        text = f"{laid_over(header, head)}.{laid_over(body, claims)}"
        return f"{text}.{encoded(sign(op, text.encode()))}"

    op._id_token = forged  # type: ignore[method-assign]  # only this provider forges


def assert_refused(op: OpenIDProvider) -> None:
    """Fail unless the site refuses the sign-in with a 400 page and creates no user."""
    browser = Client()
    answer = round_trip(browser, op)

    assert answer.status_code == 400
    assert b"That didn" in answer.content
    assert not is_signed_in(browser)
    assert not User.objects.exists()
    assert not Identity.objects.exists()

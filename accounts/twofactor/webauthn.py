"""The options and responses of passkeys (WebAuthn Level 3), and their challenges.

They are handled without the library ``webauthn``, which takes 10 MB of memory and is needed only to
verify signatures.

A challenge is valid once, for one purpose and for five minutes. It is authenticated by an HMAC of
this site, and nothing is stored until it is used. Therefore visits to the sign-in page write
nothing to the database.
"""

import hmac
import json
import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.codes.services import use_once
from accounts.common import clock, crypto, secrets
from accounts.twofactor.errors import WrongPasskey
from accounts.users.models import User

# No authenticator sends a longer response.
LONGEST_JSON = 20_000
# The ways in which a browser reaches an authenticator (WebAuthn 5.8.4); ``cable`` is the older name
# of ``hybrid``.
TRANSPORTS = {"usb", "nfc", "ble", "smart-card", "internal", "cable", "hybrid"}
CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]{1,1364}")


@dataclass(frozen=True)
class PasskeyResponse:
    """The response of an authenticator, parsed but not verified.

    ``is_embedded``: whether another site has embedded the page in a frame, and could mislead the
        user about the purpose of the request.
    ``must_verify``: whether the passkey must have verified the user.
    """

    content: dict[str, Any]
    credential_id: str
    challenge: bytes
    is_embedded: bool
    transports: list[str]
    must_verify: bool


def rp_id() -> str:
    """Return the host name to which passkeys are bound (WebAuthn 5.4.2)."""
    return settings.AUTHSITE.passkey_domain or settings.AUTHSITE.hostname


ANDROID, APPLE = "android:apk-key-hash:", "webcredentials:"


def web_origins() -> list[str]:
    """Return the origins whose pages may use passkeys of this site (WebAuthn 5.11)."""
    further = [text for text in settings.AUTHSITE.passkey_origins if text.startswith("http")]
    return [settings.AUTHSITE.origin, *further]


def passkey_origins() -> list[str]:
    """Return the origins that responses of passkeys may contain: pages and apps."""
    android = [f"{ANDROID}{digest}" for digest, _package in android_apps()]
    # Apps on Apple's systems use the origin of the domain.
    return web_origins() + android + ([f"https://{rp_id()}"] if apple_apps() else [])


def android_apps() -> list[tuple[str, str]]:
    """Return the digest of the certificate (base64url) and the package of each Android app.

    The package is empty if the operator serves the file ``assetlinks.json`` in another way.
    """
    listed = [text for text in settings.AUTHSITE.passkey_origins if text.startswith(ANDROID)]
    return [(app[0], app[2]) for app in (text[len(ANDROID) :].partition("@") for text in listed)]


def apple_apps() -> list[str]:
    """Return the IDs of the apps on Apple's systems."""
    listed = settings.AUTHSITE.passkey_origins
    return [text.removeprefix(APPLE) for text in listed if text.startswith(APPLE)]


def parse(text: str, *, must_verify: bool = False) -> PasskeyResponse:
    """Parse the JSON that the browser sent.

    Raises:
        WrongPasskey: ``text`` is not a response that a browser would send.
    """
    try:
        if len(text) > LONGEST_JSON:
            raise ValueError
        content = json.loads(text)
        response = content["response"]
        client_data = json.loads(crypto.decode(response["clientDataJSON"]))
        credential_id = str(content["id"])
        if not CREDENTIAL_ID.fullmatch(credential_id):
            raise ValueError
        return PasskeyResponse(
            content,
            credential_id,
            crypto.decode(client_data["challenge"]),
            bool(client_data.get("crossOrigin") or client_data.get("topOrigin")),
            [t for t in response.get("transports") or [] if t in TRANSPORTS],
            must_verify,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WrongPasskey from None


# The ``Passkey.descriptor`` of each of several passkeys.
type Descriptors = list[dict[str, Any]]
# The algorithms of a new passkey, best first: EdDSA, ES256 and RS256 (RFC 9053, RFC 8812).
ALGORITHMS = (-8, -7, -257)
LIFE = timedelta(minutes=5)
# How long a browser may wait for a passkey, in milliseconds.
TIMEOUT = LIFE // timedelta(milliseconds=1)


def to_get(purpose: str, passkeys: Descriptors, verification: str) -> dict[str, Any]:
    """Return options for ``navigator.credentials.get``, with a challenge for ``purpose``.

    ``passkeys``: the accepted passkeys; if empty, any passkey of this site.
    ``verification``: whether the passkey verifies the user: ``required`` or ``preferred``.
    """
    return {
        "challenge": crypto.encode(issue(purpose)),
        "timeout": TIMEOUT,
        "rpId": rp_id(),
        "allowCredentials": passkeys,
        "userVerification": verification,
    }


def to_create(user: User, purpose: str, passkeys: Descriptors, resident_key: str) -> dict[str, Any]:
    """Return options for ``navigator.credentials.create``, with a challenge for ``purpose``.

    ``passkeys``: existing passkeys, whose authenticators must not create another one.
    ``resident_key``: whether the new passkey is discoverable: ``required`` or ``preferred``.
    """
    return {
        "rp": {"name": settings.AUTHSITE.site_name, "id": rp_id()},
        "user": {
            "id": crypto.encode(user.pk.bytes),
            "name": user.username,
            "displayName": user.display_name or user.username,
        },
        "challenge": crypto.encode(issue(purpose)),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": TIMEOUT,
        "excludeCredentials": passkeys,
        "authenticatorSelection": {
            "residentKey": resident_key,
            "requireResidentKey": resident_key == "required",
            "userVerification": "preferred",
        },
        "attestation": "none",
    }


PURPOSE = "passkey"
NONCE_BYTES = 16
_HEAD = struct.Struct(f">{NONCE_BYTES}sQ")


def issue(purpose: str) -> bytes:
    """Return a new challenge that is valid only for ``purpose``."""
    head = _HEAD.pack(secrets.raw(NONCE_BYTES), int(clock.now().timestamp()))
    return head + _macs(head, purpose)[0]


def is_good(challenge: bytes, purpose: str) -> bool:
    """Return whether ``challenge`` was issued for ``purpose`` and has not expired.

    The result does not depend on whether the challenge was used: see :func:`consume`.
    """
    head, seal = challenge[: _HEAD.size], challenge[_HEAD.size :]
    if len(head) != _HEAD.size:
        return False
    is_ours = any(hmac.compare_digest(seal, ours) for ours in _macs(head, purpose))
    return is_ours and clock.now() < _issued_at(head) + LIFE


def consume(challenge: bytes) -> bool:
    """Use up a valid challenge; return whether it was still unused."""
    nonce, head = challenge[:NONCE_BYTES].hex(), challenge[: _HEAD.size]
    return use_once(PURPOSE, nonce, _issued_at(head) + LIFE)


def _issued_at(head: bytes) -> datetime:
    seconds = _HEAD.unpack(head)[1]
    return datetime.fromtimestamp(seconds, tz=clock.now().tzinfo)


def _macs(head: bytes, purpose: str) -> list[bytes]:
    return secrets.macs(head.hex(), f"webauthn:{purpose}")

"""Parses the responses of authenticators, and verifies new passkeys (WebAuthn Level 3)."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

from accounts.common import base64url
from accounts.twofactor.errors import WrongPasskey
from accounts.twofactor.models import rp_id

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

# No authenticator sends more than this.
LONGEST_JSON = 20_000
# How a browser reaches an authenticator (WebAuthn 5.8.4); ``cable`` is the older ``hybrid``.
TRANSPORTS = {"usb", "nfc", "ble", "smart-card", "internal", "cable", "hybrid"}
CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]{1,1364}")


@dataclass(frozen=True)
class Answer:
    """The response of an authenticator, parsed but not verified.

    ``is_embedded`` is set if another site has embedded the page in a frame. That site could mislead
    the user about the purpose of the request.
    """

    content: dict[str, Any]
    credential_id: str
    challenge: bytes
    is_embedded: bool
    transports: list[str]


def parse(text: str) -> Answer:
    """Return the response in ``text``, the JSON that the browser sent.

    Raises:
        WrongPasskey: ``text`` is not a response that a browser would send.
    """
    try:
        if len(text) > LONGEST_JSON:
            raise ValueError
        content = json.loads(text)
        response = content["response"]
        client_data = json.loads(base64url.decode(response["clientDataJSON"]))
        credential_id = str(content["id"])
        if not CREDENTIAL_ID.fullmatch(credential_id):
            raise ValueError
        return Answer(
            content,
            credential_id,
            base64url.decode(client_data["challenge"]),
            bool(client_data.get("crossOrigin") or client_data.get("topOrigin")),
            [t for t in response.get("transports") or [] if t in TRANSPORTS],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WrongPasskey from None


def verify_registration(answer: Answer, *, is_automatic: bool) -> "VerifiedRegistration":
    """Return the new passkey in ``answer`` after verifying that it was created for this site.

    ``is_automatic``: whether the browser may have created it without the user (WebAuthn 7.1).

    Raises:
        WrongPasskey: the response is not valid, or its public key cannot be decoded.
    """
    # The library takes 10 MB, so a site without passkeys does not load it.
    from webauthn import helpers, verify_registration_response  # noqa: PLC0415

    try:
        registration = verify_registration_response(
            credential=answer.content,
            expected_challenge=answer.challenge,
            expected_rp_id=rp_id(),
            expected_origin=settings.AUTHSITE.origin,
            require_user_presence=not is_automatic,
        )
        # The library accepts some keys that it cannot decode later. Nobody could sign in with such
        # a key.
        key = helpers.decode_credential_public_key(registration.credential_public_key)
        helpers.decoded_public_key_to_cryptography(key)
    except Exception:
        # The parsers raise undocumented errors for malformed certificates and CBOR.
        raise WrongPasskey from None
    return registration

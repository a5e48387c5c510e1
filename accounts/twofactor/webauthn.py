"""Parses the responses of authenticators (WebAuthn Level 3)."""

import json
import re
from dataclasses import dataclass
from typing import Any

from accounts.common import base64url
from accounts.twofactor.errors import WrongPasskey

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

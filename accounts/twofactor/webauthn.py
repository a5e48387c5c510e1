"""The answers of authenticators, parsed before anything in them is trusted (WebAuthn Level 3)."""

import json
import re
from dataclasses import dataclass
from typing import Any

from webauthn import base64url_to_bytes
from webauthn.helpers.structs import AuthenticatorTransport

from accounts.twofactor.errors import WrongPasskey

# More is no answer of an authenticator.
LONGEST_JSON = 20_000
CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]{1,1364}")


@dataclass(frozen=True)
class Answer:
    """What the browser sent, as far as it must be known before it's checked.

    ``is_embedded``: the page was in a frame of another origin, which could hide what it asks for.
    """

    content: dict[str, Any]
    credential_id: str
    challenge: bytes
    is_embedded: bool
    transports: list[str]


def parse(text: str) -> Answer:
    """:class:`WrongPasskey` for whatever no browser sends."""
    try:
        if len(text) > LONGEST_JSON:
            raise ValueError
        content = json.loads(text)
        response = content["response"]
        client_data = json.loads(base64url_to_bytes(response["clientDataJSON"]))
        credential_id = str(content["id"])
        if not CREDENTIAL_ID.fullmatch(credential_id):
            raise ValueError
        known = {transport.value for transport in AuthenticatorTransport}
        return Answer(
            content,
            credential_id,
            base64url_to_bytes(client_data["challenge"]),
            bool(client_data.get("crossOrigin") or client_data.get("topOrigin")),
            [t for t in response.get("transports") or [] if t in known],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WrongPasskey from None

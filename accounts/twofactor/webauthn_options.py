"""The options with which pages call ``navigator.credentials``, as JSON (WebAuthn Level 3, 5.4-5.5).

They are built without the library ``webauthn``, which takes 10 MB of memory and is needed only to
verify what a passkey has signed.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from accounts.common import base64url
from accounts.twofactor import challenges
from accounts.twofactor.models import Passkey, rp_id
from accounts.users.models import User

# The algorithms of a new passkey, best first: EdDSA, ES256 and RS256 (RFC 9053, RFC 8812).
ALGORITHMS = (-8, -7, -257)


def to_get(purpose: str, rows: Sequence[Passkey], verification: str) -> dict[str, Any]:
    """Return options for ``navigator.credentials.get``, with a challenge for ``purpose``.

    ``rows``: the passkeys that may answer; if empty, any passkey of this site.
    ``verification``: ``required`` or ``preferred``: whether the passkey verifies the user.
    """
    return {
        "challenge": base64url.encode(challenges.issue(purpose)),
        "timeout": _timeout(),
        "rpId": rp_id(),
        "allowCredentials": _descriptors(rows),
        "userVerification": verification,
    }


def to_create(
    user: User, purpose: str, rows: Sequence[Passkey], resident_key: str
) -> dict[str, Any]:
    """Return options for ``navigator.credentials.create``, with a challenge for ``purpose``.

    ``rows``: the passkeys whose authenticators must not make another one.
    ``resident_key``: ``required`` or ``preferred``: whether the new passkey is discoverable.
    """
    return {
        "rp": {"name": settings.AUTHSITE.site_name, "id": rp_id()},
        "user": {
            "id": base64url.encode(user.pk.bytes),
            "name": user.username,
            "displayName": user.display_name or user.username,
        },
        "challenge": base64url.encode(challenges.issue(purpose)),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": _timeout(),
        "excludeCredentials": _descriptors(rows),
        "authenticatorSelection": {
            "residentKey": resident_key,
            "requireResidentKey": resident_key == "required",
            "userVerification": "preferred",
        },
        "attestation": "none",
    }


def _descriptors(rows: Sequence[Passkey]) -> list[dict[str, Any]]:
    return [
        {"id": row.credential_id, "type": "public-key", "transports": row.transports}
        for row in rows
    ]


def _timeout() -> int:
    """Return how long a browser may wait for a passkey, in milliseconds."""
    return int(challenges.LIFE.total_seconds() * 1000)

"""Security Event Tokens (RFC 8417) for deliveries, with the events of CAEP 1.0 and RISC 1.0."""

import json
from typing import Any

from django.conf import settings

from accounts.tokens import keyring, signatures
from accounts.webhooks.models import CAEP_CHANGE, RISC, SECURITY_EVENTS, Delivery

# The type of the header, so that nobody accepts a Security Event Token as an ID token or an access
# token (RFC 8417 section 2.3).
TYPE = "secevent+jwt"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
# What changed of which credential; a password was updated, and another factor revoked, if it is not
# listed (CAEP section 3.3).
_CREDENTIALS = {
    "password_set": ("password", "create"),
    "factor_added": ("app", "create"),
    "factor_removed": ("app", "delete"),
    "passkey_added": ("fido2-roaming", "create"),
    "passkey_made": ("fido2-platform", "create"),
    "passkey_confirmed": ("fido2-platform", "update"),
    "passkey_removed": ("fido2-roaming", "delete"),
    "recovery_codes_made": ("recovery-code", "update"),
    "emailed_codes_on": ("email", "create"),
    "emailed_codes_off": ("email", "delete"),
}
_INITIATORS = {"user": "user", "staff": "admin", "operator": "admin", "site": "system"}


def token(row: Delivery) -> str:
    """Return the Security Event Token for ``row``. Its claims are the same for each attempt.

    A test is the event ``verification`` of the Shared Signals Framework 1.0.
    """
    iss, data = settings.AUTHSITE.origin, json.loads(row.body)["data"]
    name, event = VERIFICATION, {}
    subject = {"format": "opaque", "id": str(row.subject)}
    if data:
        name, event = SECURITY_EVENTS[row.type], _event(row, data)
        subject = {"format": "iss_sub", "iss": iss, "sub": data["user"]}
    claims = {
        "iss": iss,
        "aud": row.endpoint.url,
        "iat": int(row.created_at.timestamp()),
        "jti": row.message_id,
        "sub_id": subject,
        "events": {name: event},
    }
    return signatures.sign(claims, TYPE, keyring.signer())


def _event(row: Delivery, data: dict[str, Any]) -> dict[str, Any]:
    name = SECURITY_EVENTS[row.type]
    if name.startswith(RISC):
        return {"reason": "hijacking"} if row.type == "user.locked" else {}
    event = {
        "event_timestamp": int(row.created_at.timestamp()),
        "initiating_entity": _INITIATORS[data["by"]],
    }
    if name == CAEP_CHANGE:
        usual = ("password", "update") if row.type == "password.changed" else ("app", "revoke")
        credential, change = _CREDENTIALS.get(data["event"], usual)
        event |= {"credential_type": credential, "change_type": change}
    return event

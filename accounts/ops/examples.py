"""Examples of a request and a response for each operation of the API.

A test sends the example requests.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """The request body, the response body, and the ``id`` in the path."""

    request: Any = None
    answer: Any = None
    id: str = ""


ALICE = "8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f10"
SESSION = "8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f11"
KEY = "k3v9m2q7x5t8w4za"
EMAIL, IP = "alice@example.org", "192.0.2.7"
PASSWORD = "vivid otter under glass"  # noqa: S105 of nobody
CHALLENGE = "9Vd1qK2vT0mXc8RzJ4uYbA"
REFRESH = "jRo8DmwpT1uaJz8vSh9_EJ4kXq2NfYb7"
TOKEN = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ik.eyJpc3MiOiJodHRwczovL2.MEUCIQDx0r3m"  # noqa: S105 of nobody
BEGUN, LATER = "2026-01-31T12:00:00.000000Z", "2026-04-30T12:00:00.000000Z"

SIGN_UP = {"id": ALICE, "username": "alice"}
PERSON = {
    "id": ALICE,
    "username": "alice",
    "email": EMAIL,
    "display_name": "",
    "about": "",
    "language": "en",
    "time_zone": "UTC",
    "groups": [],
    "is_staff": False,
    "date_joined": BEGUN,
}
ACCESS = {"access": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "read write"}
TOKENS = {**ACCESS, "refresh": REFRESH}
CLAIMS = {
    "iss": "http://localhost:8000",
    "sub": ALICE,
    "aud": "http://localhost:8000",
    "exp": 1769861100,
    "iat": 1769860800,
    "nbf": 1769860800,
    "jti": "b1b4pDPNZjIbkzYQxJQYQw",
    "sid": SESSION,
    "scope": "read write",
    "auth_time": 1769860800,
    "amr": ["pwd"],
    "acr": "aal1",
    "client_id": "api",
    "token_type": "access",
}
SESSION_ROW = {
    "id": SESSION,
    "kind": "api",
    "is_current": True,
    "device": "curl",
    "client_id": None,
    "address": IP,
    "amr": ["pwd"],
    "acr": "aal1",
    "auth_time": BEGUN,
    "begun_at": BEGUN,
    "used_at": BEGUN,
    "ends_at": LATER,
    "scope": "read write",
}
KEY_ROW = {
    "id": KEY,
    "name": "nightly backup",
    "scope": "profile:read",
    "made_at": BEGUN,
    "expires_at": LATER,
    "used_at": None,
    "address": "",
}
APP_ID = "5f0e7c9b2a4d4e1f9c3b8a7d6e5f4c3b"
APP = {
    "client_id": APP_ID,
    "name": "Paperless",
    "is_verified": True,
    "since": BEGUN,
    "used_at": BEGUN,
    "access": [{"audience": "http://localhost:8000", "scope": "openid email"}],
}
EVENT = {
    "kind": "profile_changed",
    "sentence": "The profile was changed.",
    "at": BEGUN,
    "address": IP,
    "device": "curl",
    "proof": [],
    "session": SESSION,
    "actor": "",
    "detail": "",
    "key": "",
    "reason": "",
}


ACCOUNT = {
    "id": ALICE,
    "username": "alice",
    "email": EMAIL,
    "is_confirmed": True,
    "is_active": True,
    "is_staff": False,
}
SHOWN_ACCOUNT = {
    **ACCOUNT,
    "explanation": [],
    "acts": [
        {"name": "send-reset", "targets": [{"value": EMAIL, "name": EMAIL}]},
        {"name": "deactivate", "targets": []},
    ],
}
SWITCHED_OFF = {
    "code": "switched_off",
    "sentence": "alice can’t sign in because the account is deactivated.",
    "until": None,
}
INVITATION_ID = "1f0c2b6e-5b0e-4a39-8a58-0c1d6f6a7e21"
INVITATION = {
    "id": INVITATION_ID,
    "email": "dave@example.org",
    "groups": [],
    "is_staff": False,
    "invited_by": "carol",
    "created_at": "2026-11-26T09:30:00Z",
    "expires_at": "2026-12-03T09:30:00Z",
}


def _page(row: dict[str, Any]) -> dict[str, Any]:
    return {"count": 1, "next": None, "previous": None, "results": [row]}


_PASSWORD = {"username": "alice", "password": PASSWORD}
EXAMPLES = {
    "sign_up": Example({**_PASSWORD, "email": EMAIL}, SIGN_UP),
    "resend_email": Example({"email": EMAIL, "username": "alice"}),
    "verify_email": Example({"email": EMAIL, "username": "alice", "code": "1234 5678"}, SIGN_UP),
    "get_user": Example(answer=PERSON, id=ALICE),
    "sign_in": Example(_PASSWORD, TOKENS),
    "complete_sign_in": Example({"challenge": CHALLENGE, "code": "123456"}, TOKENS),
    "renew_token": Example({"refresh": REFRESH}, TOKENS),
    "verify_token": Example({"token": TOKEN}, CLAIMS),
    "revoke_token": Example({"token": REFRESH}),
    "sign_in_browser": Example(_PASSWORD, ACCESS),
    "renew_browser_session": Example({}, ACCESS),
    "end_browser_session": Example(),
    "get_me": Example(answer=PERSON),
    "update_me": Example({"display_name": "Alice"}, {**PERSON, "display_name": "Alice"}),
    "list_sessions": Example(answer=_page(SESSION_ROW)),
    "revoke_session": Example(id=SESSION),
    "create_key": Example(
        {"name": "nightly backup", "scope": "profile:read"},
        {**KEY_ROW, "key": f"authsite_{KEY}_Zk2Vq8mXc4RzT0uYbJ9dLw1aQs"},
    ),
    "list_keys": Example(answer=_page(KEY_ROW)),
    "get_key": Example(answer=KEY_ROW, id=KEY),
    "revoke_key": Example(id=KEY),
    "list_apps": Example(answer=_page(APP)),
    "disconnect_app": Example(id=APP_ID),
    "list_activity": Example(answer=_page(EVENT)),
    "find_users": Example(answer=_page(ACCOUNT)),
    "get_account": Example(answer=SHOWN_ACCOUNT, id=ALICE),
    "act_on_account": Example(
        {"reason": "You asked us to, ticket 4812"},
        {
            **ACCOUNT,
            "is_active": False,
            "explanation": [SWITCHED_OFF],
            "acts": [{"name": "reactivate", "targets": []}],
        },
        id=ALICE,
    ),
    "list_invitations": Example(answer=_page(INVITATION)),
    "invite": Example({"email": "dave@example.org", "days": 7}, INVITATION),
    "revoke_invitation": Example(id=INVITATION_ID),
}

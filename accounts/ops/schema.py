"""The error codes of the API, and an example of each call, for the OpenAPI description.

A test sends the example requests.
"""

from dataclasses import dataclass
from typing import Any

from accounts.users.forms import ProfileForm

# Every `code` in answers of the API, and what it means.
CODES = {
    "bad_request": "The request is not meant for this site.",
    "parse_error": "The body cannot be parsed.",
    "invalid_code": "The code is wrong, old or used.",
    "invalid_passkey": "The response of the passkey is wrong, old or used.",
    "unknown_passkey": "No account has this passkey: it can be deleted from the device.",
    "invalid_scope": "No such scope, or not one that you have.",
    "invalid_target": "The token is not for that audience.",
    "signup_ended": "The sign-up was confirmed, changed or deleted, or has expired.",
    "same_name": "The username is the present one.",
    "not_possible": "The account has changed, or is not in the state that this needs.",
    "own_address": "The account has this email address already.",
    "too_many": "The account has as many of these as it may have: remove one first.",
    "no_way_back": "Without an email address, a locked account could not be unlocked.",
    "no_factor": "The account has no second factor.",
    "already_there": "An account already has this passkey.",
    "last_way_in": "Without it, the person could not sign in safely any more.",
    "too_many_keys": "The account has as many API keys as it may have.",
    "invalid_idempotency_key": "`Idempotency-Key` is too short or too long, or has spaces.",
    "idempotency_key_reused": "`Idempotency-Key` came with another body before.",
    "not_authenticated": "There are no credentials.",
    "invalid_credentials": "The name, email address or password is wrong.",
    "token_expired": "The access token has expired: renew it.",
    "token_not_valid": "The token is not valid: sign in again.",
    "token_reused": "The refresh token was used before: the session has ended.",
    "invalid_dpop_proof": "The DPoP proof is missing, wrong or used.",
    "use_dpop_nonce": "The DPoP proof must have the nonce in `DPoP-Nonce`.",
    "email_not_verified": "The email address must be confirmed first.",
    "second_factor_required": "A code or a passkey must follow, with `challenge`.",
    "invalid_challenge": "The challenge is not valid any more: sign in again.",
    "insufficient_user_authentication": "This needs a sign-in of the last ten minutes.",
    "account_inactive": "The account is deactivated.",
    "enrolment_required": "A second factor must be added: by `token/enrolment/`, or at `url`.",
    "deletion_requested": "The account will be deleted: a sign-in at `url` can keep it.",
    "locked_down": "The account is locked: the page at `url` unlocks it.",
    "password_compromised": "Attackers know the password: set a new one on the site.",
    "insufficient_scope": "The token lacks the scope that `scope` names.",
    "not_in_role": "Your role as staff does not include this.",
    "not_allowed_on_staff": "The account has rights that you do not have, or is your own.",
    "already_done": "Nothing is left to do: somebody else may have done it.",
    "outdated": "The account was changed at the same moment: read it, then try again.",
    "factor_required": "The account cannot be without this factor; staff remove all.",
    "not_offered": "The account cannot be recovered by waiting.",
    "last_superuser": "Nobody else could administer the site.",
    "not_for_apps": "Apps cannot do this: the page at `url` can.",
    "not_for_pages": "Pages in a browser cannot do this: the page of the site at `url` can.",
    "not_accepted": "The person must show something else: see `GET reauthenticate/`.",
    "origin_not_allowed": "This page may not use `session/`.",
    "terms_required": "The terms must be accepted: send `terms_version` as `terms`.",
    "signup_closed": "The site takes no new accounts.",
    "recovery_required": "The reset goes on at the emailed link, or begins again at `url`.",
    "not_found": "Nothing is there, or nothing that is yours.",
    "method_not_allowed": "The resource does not have this method.",
    "precondition_failed": "It was changed since you read it: read it again.",
    "content_too_large": "The body has more than 64 KiB.",
    "unsupported_media_type": "The call does not take this media type.",
    "throttled": "Too many attempts: wait as long as `Retry-After` says.",
    "busy": "The site is busy: wait as long as `Retry-After` says.",
    "unavailable": "Something that the site needs does not answer: see `Retry-After`.",
}


@dataclass(frozen=True)
class Example:
    """The request body, the response body, and the ``id`` in the path."""

    request: Any = None
    answer: Any = None
    id: str = ""


ALICE = "8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f10"
SESSION = "8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f11"
KEY = "k3v9m2q7x5t8w4za"
OPTIONS = {
    "challenge": "2mTq0yJ8m1rZ0w9dVq3cXgAAAABpfeTAb8Zk",
    "timeout": 300000,
    "rpId": "localhost",
    "allowCredentials": [],
    "userVerification": "required",
}
EMAIL, IP = "alice@example.org", "192.0.2.7"
PASSWORD = "vivid otter under glass"  # noqa: S105 of nobody
TOKEN_CHALLENGE = "9Vd1qK2vT0mXc8RzJ4uYbA"  # noqa: S105 of nobody
REGISTRATION = {
    "rp": {"name": "authsite", "id": "localhost"},
    "user": {"id": "jRo8DmwpT1uaJz8vSh9_EA", "name": "alice", "displayName": "Alice"},
    "challenge": OPTIONS["challenge"],
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    "timeout": 300000,
    "excludeCredentials": [],
    "authenticatorSelection": {
        "residentKey": "preferred",
        "requireResidentKey": False,
        "userVerification": "preferred",
    },
    "attestation": "none",
}
CREDENTIAL = {
    "id": "Zk2Vq8mXc4RzT0uYbJ9dLw",
    "rawId": "Zk2Vq8mXc4RzT0uYbJ9dLw",
    "type": "public-key",
    "response": {"clientDataJSON": "eyJ0eXBl…", "attestationObject": "o2NmbXRk…"},
    "clientExtensionResults": {},
}
RECOVERY_CODES = ["b4kq-9wz7m-t3xr", "h8nd-2vc6j-p5fy"]
ADDED_FACTOR = {"id": 1, "name": "Laptop", "recovery_codes": RECOVERY_CODES}
SETUP = {
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "uri": "otpauth://totp/authsite:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=authsite",
    "setup": "gAAAAABn…",
}
REFRESH = "jRo8DmwpT1uaJz8vSh9_EJ4kXq2NfYb7"
TOKEN = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ik.eyJpc3MiOiJodHRwczovL2.MEUCIQDx0r3m"  # noqa: S105 of nobody
STARTED, ENDS = "2026-01-31T12:00:00.000000Z", "2026-04-30T12:00:00.000000Z"

SIGN_UP = {"id": ALICE, "username": "alice"}
PERSON = {
    "id": ALICE,
    "username": "alice",
    "email": EMAIL,
    **dict.fromkeys(ProfileForm.base_fields, ""),
    "language": "en",
    "time_zone": "UTC",
    "groups": [],
    "is_staff": False,
    "date_joined": STARTED,
}
_FACTOR = {"id": 1, "name": "Phone", "made_at": STARTED, "used_at": None}
FACTORS = {
    "authenticators": [_FACTOR],
    "passkeys": [
        {
            **_FACTOR,
            "credential_id": CREDENTIAL["id"],
            "provider": "",
            "is_synced": True,
            "is_confirmed": True,
        }
    ],
    "recovery_codes": 10,
    "are_codes_saved": True,
    "emailed_codes": False,
    "trusted_browsers": [],
    "lock_url": "http://localhost:8000/accounts/lockdown/",
    "review_url": None,
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
    "auth_time": STARTED,
    "begun_at": STARTED,
    "used_at": STARTED,
    "ends_at": ENDS,
    "scope": "read write",
}
KEY_ROW = {
    "id": KEY,
    "name": "nightly backup",
    "scope": "profile:read",
    "made_at": STARTED,
    "expires_at": ENDS,
    "used_at": None,
    "address": "",
}
APP_ID = "5f0e7c9b2a4d4e1f9c3b8a7d6e5f4c3b"
APP = {
    "client_id": APP_ID,
    "name": "Paperless",
    "is_verified": True,
    "since": STARTED,
    "used_at": STARTED,
    "access": [{"audience": "http://localhost:8000", "scope": "openid email"}],
}
EVENT = {
    "id": 4812,
    "kind": "profile_changed",
    "sentence": "The profile was changed.",
    "at": STARTED,
    "address": IP,
    "device": "curl",
    "proof": [],
    "session": SESSION,
    "actor": "",
    "detail": "",
    "key": "",
    "reason": "",
}


REASON = "You asked us to, ticket 4812"
ACCOUNT = {
    "id": ALICE,
    "username": "alice",
    "email": EMAIL,
    "is_confirmed": True,
    "is_active": True,
    "is_staff": False,
    "date_joined": STARTED,
    "updated_at": STARTED,
}
SHOWN_ACCOUNT = {
    **ACCOUNT,
    **{name: PERSON[name] for name in (*ProfileForm.base_fields, "groups")},
    "deletion_due": None,
    "states": ["no_factor"],
    "emails": [EMAIL],
    "pending_emails": [],
    "explanation": [],
    "acts": [
        {"name": "send-reset", "targets": [{"value": EMAIL, "name": EMAIL}]},
        {"name": "deactivate", "targets": []},
    ],
}
DETAILS = {
    "sessions": [{**SESSION_ROW, "is_current": False}],
    **{name: FACTORS[name] for name in ("authenticators", "passkeys", "recovery_codes")},
    "emailed_codes": False,
    "trusted_browsers": [],
    "keys": [KEY_ROW],
    "providers": [],
    "apps": [],
    "removed_emails": [],
    "mails": [
        {
            "heading": "An API key was created",
            "created_at": STARTED,
            "done_at": STARTED,
            "failure": "",
        }
    ],
}
SWITCHED_OFF = {
    "code": "switched_off",
    "sentence": "alice can’t sign in because the account is deactivated.",
    "until": None,
}
CONFIG = {
    "site_name": "authsite",
    "signup": "open",
    "terms": None,
    "second_factor": "staff",
    "factors": ["passkey", "totp", "recovery_code", "email"],
    "support": "",
    "providers": [
        {
            "id": "google",
            "name": "Google",
            "url": "http://localhost:8000/accounts/google/login/",
        }
    ],
    "languages": [{"code": "en", "name": "English"}, {"code": "de", "name": "Deutsch"}],
    "username": {"min": 1, "max": 30},
    "password": {"min": 12, "max": 1024},
    "passkey_domain": "localhost",
    "deletion_days": 14,
}
MAILED: dict[str, Any] = {"challenge": "gAAAAABmcF3rVx0vJt0n", "expires_in": 600}
BROWSER_ROW = {"id": 3, "device": "Firefox on Linux", "since": STARTED, "used_at": STARTED}
EMAIL_ROW = {
    "id": "17",
    "email": EMAIL,
    "is_primary": True,
    "confirmed_at": STARTED,
    "expires_at": None,
}
NEW_EMAIL = {
    **EMAIL_ROW,
    "id": SESSION,
    "email": "alice@example.net",
    "is_primary": False,
    "confirmed_at": None,
    "expires_at": ENDS,
}
EXPORT = {"id": SESSION, "created_at": STARTED, "steps_done": 0, "steps": 56}
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
TOLD = {
    "id": 4711,
    "type": "email.changed",
    "timestamp": STARTED,
    "event": "primary_changed",
    "user": ALICE,
    "by": "user",
    "actor": None,
    "session": SESSION,
}
EXAMPLES = {
    "sign_up": Example({**_PASSWORD, "email": EMAIL}, SIGN_UP),
    "resend_email": Example({"email": EMAIL, "username": "alice"}),
    "verify_email": Example({"email": EMAIL, "username": "alice", "code": "1234 5678"}, SIGN_UP),
    "get_user": Example(answer=PERSON, id=ALICE),
    "sign_in": Example(_PASSWORD, TOKENS),
    "complete_sign_in": Example({"challenge": TOKEN_CHALLENGE, "code": "123456"}, TOKENS),
    "passkey_sign_in_options": Example(answer=OPTIONS),
    "set_up_enrolment": Example(
        {"challenge": TOKEN_CHALLENGE}, {"totp": SETUP, "passkey": REGISTRATION}
    ),
    "complete_enrolment": Example(
        {"challenge": TOKEN_CHALLENGE, "setup": SETUP["setup"], "code": "123456", "name": "Phone"},
        {**TOKENS, "recovery_codes": RECOVERY_CODES},
    ),
    "get_providers": Example(
        answer={
            "connected": [
                {
                    "id": 1,
                    "provider": "Acme",
                    "account": EMAIL,
                    "connected_at": STARTED,
                    "used_at": None,
                }
            ],
            "offered": [
                {
                    "key": "oidc/acme",
                    "name": "Acme",
                    "url": "http://localhost:8000/accounts/oidc/acme/login/?act=connect",
                }
            ],
        }
    ),
    "disconnect_provider": Example(id="1"),
    "get_reauthentication": Example(answer={"methods": ["passkey", "code"], "options": OPTIONS}),
    "reauthenticate": Example(
        {"code": "123456"}, {"auth_time": STARTED, "amr": ["pwd", "otp"], "acr": "aal2"}
    ),
    "passkey_registration_options": Example(answer=REGISTRATION),
    "add_passkey": Example({"name": "Laptop", "credential": CREDENTIAL}, ADDED_FACTOR),
    "rename_passkey": Example({"name": "Phone"}, {"name": "Phone"}, id="1"),
    "remove_passkey": Example(id="1"),
    "get_factors": Example(answer=FACTORS),
    "set_emailed_codes": Example({"emailed_codes": True}, {"emailed_codes": True}),
    "set_up_authenticator_app": Example(answer=SETUP),
    "add_authenticator_app": Example(
        {"setup": SETUP["setup"], "code": "123456", "name": "Phone"},
        {**ADDED_FACTOR, "name": "Phone"},
    ),
    "rename_authenticator_app": Example({"name": "Phone"}, {"name": "Phone"}, id="1"),
    "remove_authenticator_app": Example(id="1"),
    "make_recovery_codes": Example(answer={"recovery_codes": RECOVERY_CODES}),
    "confirm_recovery_codes": Example({"code": RECOVERY_CODES[0]}),
    "end_trust": Example(),
    "end_trust_in_browser": Example(id="1"),
    "renew_token": Example({"refresh": REFRESH}, TOKENS),
    "verify_token": Example({"token": TOKEN}, CLAIMS),
    "revoke_token": Example({"token": REFRESH}),
    "sign_in_browser": Example(_PASSWORD, ACCESS),
    "sign_in_browser_by_code": Example(
        {"challenge": MAILED["challenge"], "code": "1234 5678"}, ACCESS
    ),
    "renew_browser_session": Example({}, ACCESS),
    "end_browser_session": Example(),
    "get_me": Example(answer=PERSON),
    "update_me": Example({"display_name": "Alice"}, {**PERSON, "display_name": "Alice"}),
    "delete_me": Example({"username": "alice"}, {"deletion_due": "2026-12-10T09:30:00Z"}),
    "list_emails": Example(answer=_page(EMAIL_ROW)),
    "add_email": Example({"email": "alice@example.net"}, NEW_EMAIL),
    "remove_email": Example(id="17"),
    "confirm_email": Example(
        {"code": "1234 5678"},
        {**EMAIL_ROW, "id": "18", "email": "alice@example.net", "is_primary": False},
        id=SESSION,
    ),
    "make_email_primary": Example(answer=EMAIL_ROW, id="17"),
    "correct_email": Example({**_PASSWORD, "email": "alice@example.net"}),
    "check_invitation": Example({"token": REFRESH}, {"email": EMAIL}),
    "accept_invitation": Example({**_PASSWORD, "token": REFRESH}, SIGN_UP),
    "get_config": Example(answer=CONFIG),
    "request_sign_in_code": Example({"username": "alice"}, MAILED),
    "sign_in_by_code": Example({"challenge": MAILED["challenge"], "code": "1234 5678"}, TOKENS),
    "change_password": Example({"password": PASSWORD}),
    "set_password": Example({"password": PASSWORD}),
    "request_password_reset": Example({"email": EMAIL}, MAILED),
    "check_password_reset": Example(
        {"challenge": MAILED["challenge"], "code": "1234 5678"}, {"username": "alice"}
    ),
    "reset_password": Example(
        {"challenge": MAILED["challenge"], "code": "1234 5678", "password": PASSWORD},
        {"username": "alice"},
    ),
    "measure_password": Example(
        {"password": PASSWORD, "words": ["alice"]},
        {"score": 4, "label": "Very good.", "advice": ""},
    ),
    "change_username": Example({"username": "alice2"}, {**PERSON, "username": "alice2"}),
    "sign_out_elsewhere": Example({}, {"count": 2}),
    "list_browsers": Example(answer=_page(BROWSER_ROW)),
    "forget_browser": Example(id="3"),
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
    "create_account": Example(
        {"reason": REASON, "email": "dave@example.org", "days": 7},
        {"account": None, "invitation": INVITATION},
    ),
    "act_on_accounts": Example(
        f'{{"act": "delete", "id": "{ALICE}", "reason": "{REASON}"}}',
        {"results": [{"line": 1, "status": 200, "id": ALICE, "error": None}]},
    ),
    "get_account": Example(answer=SHOWN_ACCOUNT, id=ALICE),
    "get_account_details": Example(answer=DETAILS, id=ALICE),
    "list_account_activity": Example(answer=_page({**EVENT, "actor_id": None}), id=ALICE),
    "update_account": Example(
        {"reason": REASON, "given_name": "Alice", "groups": ["Editors"]},
        {**SHOWN_ACCOUNT, "given_name": "Alice", "groups": ["Editors"]},
        id=ALICE,
    ),
    "delete_account": Example({"reason": REASON}, {"deletion_due": ENDS}, id=ALICE),
    "act_on_account": Example(
        {"reason": REASON},
        {
            **SHOWN_ACCOUNT,
            "is_active": False,
            "states": ["switched_off"],
            "explanation": [SWITCHED_OFF],
            "acts": [{"name": "reactivate", "targets": []}],
        },
        id=ALICE,
    ),
    "request_export": Example(answer=EXPORT),
    "get_export": Example(answer=EXPORT, id=SESSION),
    "list_events": Example(answer={"next": None, "results": [TOLD]}),
    "list_invitations": Example(answer=_page(INVITATION)),
    "invite": Example({"email": "dave@example.org", "days": 7}, INVITATION),
    "revoke_invitation": Example(id=INVITATION_ID),
}

"""The error codes and example values of the API, for the OpenAPI description.

A test sends the example requests.
"""

from typing import Any

# Every `code` in responses of the API, and its meaning.
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
    "decided_elsewhere": "The directory that manages the person by SCIM decides this.",
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


ALICE = "8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f10"
EMAIL, TIME = "alice@example.org", "2026-01-31T12:00:00.000000Z"
JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ik.eyJpc3MiOiJodHRwczovL2.MEUCIQDx0r3m"
# Examples of members, by name, or by the name of the schema, a dot and the name. Examples of other
# members are derived from their types.
MEMBERS: dict[str, Any] = {
    "access": JWT,
    "account": EMAIL,
    "address": "192.0.2.7",
    "AllowedApp.name": "Paperless",
    "amr": ["pwd"],
    "App.name": "Paperless",
    "attestation": "none",
    "aud": "http://localhost:8000",
    "audience": "http://localhost:8000",
    "auth_time": 1769860800,
    "authenticatorSelection": {"residentKey": "preferred", "userVerification": "preferred"},
    "Block.code": "switched_off",
    "Block.sentence": "alice can’t sign in because the account is deactivated.",
    "challenge": "2mTq0yJ8m1rZ0w9dVq3cXgAAAABpfeTAb8Zk",
    "Claims.token_type": "access",
    "client_id": "5f0e7c9b2a4d4e1f9c3b8a7d6e5f4c3b",
    "code": "1234 5678",
    "credential": {
        "id": "Zk2Vq8mXc4RzT0uYbJ9dLw",
        "rawId": "Zk2Vq8mXc4RzT0uYbJ9dLw",
        "type": "public-key",
        "response": {"clientDataJSON": "eyJ0eXBl…", "attestationObject": "o2NmbXRk…"},
        "clientExtensionResults": {},
    },
    "credential_id": "Zk2Vq8mXc4RzT0uYbJ9dLw",
    "deletion_days": 14,
    "Details.recovery_codes": 10,
    "device": "Firefox on Linux",
    "email": EMAIL,
    "emails": [EMAIL],
    "event": "primary_changed",
    "exp": 1769861100,
    "expires_in": 300,
    "Factors.recovery_codes": 10,
    "iat": 1769860800,
    "id": "k3v9m2q7x5t8w4za",
    "iss": "http://localhost:8000",
    "jti": "b1b4pDPNZjIbkzYQxJQYQw",
    "Key.name": "nightly backup",
    "label": "Very good.",
    "Language.code": "en",
    "Language.name": "English",
    "lock_url": "http://localhost:8000/accounts/lockdown/",
    "MadeKey.key": "authsite_k3v9m2q7x5t8w4za_Zk2Vq8mXc4RzT0uYbJ9dLw1aQs",
    "max": 1024,
    "min": 12,
    "name": "Phone",
    "nbf": 1769860800,
    "OfferedProvider.key": "google",
    "OfferedProvider.name": "Google",
    "passkey_domain": "localhost",
    "password": "vivid otter under glass",
    "provider": "Google",
    "Provider.id": "google",
    "Provider.name": "Google",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    "reason": "You asked us to, ticket 4812",
    "recovery_codes": ["b4kq-9wz7m-t3xr", "h8nd-2vc6j-p5fy"],
    "refresh": "jRo8DmwpT1uaJz8vSh9_EJ4kXq2NfYb7",
    "rp": {"name": "authsite", "id": "localhost"},
    "rpId": "localhost",
    "scope": "read write",
    "score": 4,
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "sentence": "The profile was changed.",
    "setup": "gAAAAABn…",
    "site_name": "authsite",
    "status": 200,
    "Target.name": EMAIL,
    "time_zone": "UTC",
    "timeout": 300000,
    "token": "jRo8DmwpT1uaJz8vSh9_EJ4kXq2NfYb7",
    "token_type": "Bearer",
    "uri": "otpauth://totp/authsite:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=authsite",
    "url": "http://localhost:8000/accounts/google/login/",
    "user": {"id": "jRo8DmwpT1uaJz8vSh9_EA", "name": "alice", "displayName": "Alice"},
    "username": "alice",
    "userVerification": "required",
    "value": EMAIL,
}
_BY_CODE = {name: MEMBERS[name] for name in ("challenge", "code")}
_BY_NAME = {name: MEMBERS[name] for name in ("username", "password")}
# By the id of the operation: optional members of its example request.
REQUESTS: dict[str, dict[str, Any]] = {
    "sign_up": _BY_NAME,
    "sign_in": _BY_NAME,
    "sign_in_browser": _BY_NAME,
    "correct_email": _BY_NAME,
    "complete_sign_in": {"code": "123456"},
    "complete_enrolment": {"setup": MEMBERS["setup"], "code": "123456"},
    "add_authenticator_app": {"code": "123456", "name": "Phone"},
    "reauthenticate": {"code": "123456"},
    "confirm_recovery_codes": {"code": MEMBERS["recovery_codes"][0]},
    "check_password_reset": _BY_CODE,
    "reset_password": _BY_CODE,
    "request_password_reset": {"email": EMAIL},
    "request_sign_in_code": {"email": EMAIL},
    "verify_token": {"token": JWT},
    "set_emailed_codes": {"emailed_codes": True},
    "rename_authenticator_app": {"name": "Phone"},
    "rename_passkey": {"name": "Phone"},
    "update_me": {"display_name": "Alice"},
    "create_key": {"scope": "profile:read"},
    "update_account": {"reason": MEMBERS["reason"], "given_name": "Alice"},
}
# The titles of operations, by id. Without a title here, the words of the id are the title.
TITLES = {
    "list_activity": "List your activity",
    "list_events": "List the events of all accounts",
    "list_invitations": "List open invitations",
    "invite": "Invite somebody",
    "revoke_invitation": "Revoke an invitation",
    "find_users": "Find accounts",
    "create_account": "Create an account as staff",
    "get_account": "Get an account as staff",
    "update_account": "Change an account as staff",
    "delete_account": "Delete an account as staff",
    "act_on_account": "Act on an account as staff",
    "list_account_activity": "List the activity of an account",
    "get_account_details": "Get the details of an account",
    "act_on_accounts": "Act on many accounts",
    "list_apps": "List your connected apps",
    "disconnect_app": "Disconnect an app",
    "list_browsers": "List the browsers that are recognised",
    "forget_browser": "Forget a browser",
    "get_config": "Get what the site offers",
    "correct_email": "Correct the email address of a sign-up",
    "resend_email": "Send the code of a sign-up again",
    "verify_email": "Confirm the email address of a sign-up",
    "list_emails": "List your email addresses",
    "add_email": "Add an email address",
    "remove_email": "Remove an email address",
    "confirm_email": "Confirm an added email address",
    "make_email_primary": "Make an email address primary",
    "get_factors": "List your passkeys, apps and recovery codes",
    "set_emailed_codes": "Turn emailed codes on or off",
    "make_recovery_codes": "Create new recovery codes",
    "confirm_recovery_codes": "Confirm that recovery codes are saved",
    "add_authenticator_app": "Add an authenticator app",
    "rename_authenticator_app": "Rename an authenticator app",
    "remove_authenticator_app": "Remove an authenticator app",
    "set_up_authenticator_app": "Set up an authenticator app",
    "end_trust": "Stop trusting all browsers",
    "end_trust_in_browser": "Stop trusting a browser",
    "accept_invitation": "Sign up by invitation",
    "check_invitation": "Check an invitation",
    "list_keys": "List your API keys",
    "create_key": "Create an API key",
    "get_key": "Get an API key",
    "revoke_key": "Revoke an API key",
    "request_sign_in_code": "Get a sign-in code by email",
    "sign_in_by_code": "Sign in with an emailed code",
    "get_me": "Get your account",
    "update_me": "Change your profile",
    "delete_me": "Delete your account",
    "request_export": "Ask for a copy of your data",
    "get_export": "Download a copy of your data",
    "change_username": "Change your username",
    "add_passkey": "Add a passkey",
    "rename_passkey": "Rename a passkey",
    "remove_passkey": "Remove a passkey",
    "passkey_sign_in_options": "Get options to sign in with a passkey",
    "passkey_registration_options": "Get options to create a passkey",
    "change_password": "Change your password",
    "request_password_reset": "Ask for a password reset",
    "check_password_reset": "Check a password reset",
    "reset_password": "Reset a password",
    "set_password": "Set a first password",
    "measure_password": "Measure a password",
    "get_providers": "List your sign-in providers",
    "disconnect_provider": "Disconnect a sign-in provider",
    "get_reauthentication": "Get the ways to confirm that it is you",
    "reauthenticate": "Confirm that it is you",
    "sign_in_browser": "Sign in from a page",
    "end_browser_session": "Sign out from a page",
    "sign_in_browser_by_code": "Sign in from a page with an emailed code",
    "renew_browser_session": "Renew the token of a page",
    "list_sessions": "List your sessions",
    "revoke_session": "Sign a session out",
    "sign_out_elsewhere": "Sign out everywhere else",
    "complete_sign_in": "Complete a sign-in",
    "complete_enrolment": "Turn on two-step verification during a sign-in",
    "set_up_enrolment": "Set up two-step verification during a sign-in",
    "renew_token": "Renew a token",
    "revoke_token": "Sign out, or revoke a token",
    "verify_token": "Verify an access token",
    "get_user": "Get an account by its ID",
}
_TYPES: dict[str, type] = {"string": str, "integer": int, "array": list, "object": dict}
_OF_FORMATS = {
    **{"uuid": ALICE, "email": EMAIL, "date-time": TIME, "uri": MEMBERS["iss"]},
    # The lines of a bulk call, which have no schema.
    "binary": f'{{"act": "delete", "id": "{ALICE}", "reason": "{MEMBERS["reason"]}"}}',
}
_OF_TYPES: dict[str, Any] = {"string": "", "integer": 1, "boolean": True}


def example_of(schema: dict[str, Any], schemas: dict[str, Any], place: str = "") -> Any:
    """Return an example of a value that is valid for ``schema``.

    ``schemas``: the schemas to which ``schema`` may refer, by name.
    ``place``: the name of the schema; for a member, the name of its object, a dot and its own name.
    """
    while "$ref" in schema:
        place = schema["$ref"].rpartition("/")[2]
        schema = schemas[place]
    if choices := schema.get("oneOf") or schema.get("allOf") or schema.get("anyOf"):
        return example_of(choices[0], schemas, place)
    if "enum" in schema:
        return schema["enum"][0]
    types = schema.get("type", "object")
    kind = types[0] if isinstance(types, list) else types
    known = MEMBERS.get(place, MEMBERS.get(place.rpartition(".")[2]))
    if isinstance(known, _TYPES.get(kind, ())) and "format" not in schema:
        return known
    if isinstance(types, list):
        return None
    if kind == "array":
        has_parts = "$ref" in schema["items"]
        return [example_of(schema["items"], schemas, place)] if has_parts else []
    if kind == "object":
        members = schema.get("properties", {})
        names = members if place.startswith("Paginated") else schema.get("required", ())
        return {name: example_of(members[name], schemas, f"{place}.{name}") for name in names}
    return _OF_FORMATS.get(schema.get("format", ""), _OF_TYPES.get(kind))

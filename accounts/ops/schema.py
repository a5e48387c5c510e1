"""The OpenAPI description of the API, with its examples and errors.

A test sends the example requests.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from accounts.signin.second_step import SecondMethod
from accounts.tokens.authentication import IsFresh, required_scope
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
    "too_many_keys": "The account has as many API keys as it may have.",
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
    "enrolment_required": "The account must add a second factor first, on the site.",
    "deletion_requested": "The account will be deleted: a sign-in at `url` can keep it.",
    "locked_down": "The account is locked: the page at `url` unlocks it.",
    "password_compromised": "Attackers know the password: set a new one on the site.",
    "insufficient_scope": "The token lacks the scope that `scope` names.",
    "not_in_role": "Your role as staff does not include this.",
    "not_allowed_on_staff": "The account has rights that you do not have, or is your own.",
    "already_done": "Nothing is left to do: somebody else may have done it.",
    "outdated": "The account was changed at the same moment: read it, then try again.",
    "factor_required": "The account cannot be without this factor: remove all.",
    "not_offered": "The account cannot be recovered by waiting.",
    "last_superuser": "Nobody else could administer the site.",
    "not_for_apps": "Apps cannot do this: the page at `url` can.",
    "not_for_pages": "Pages in a browser cannot create API keys.",
    "origin_not_allowed": "This page may not use `session/`.",
    "terms_required": "The terms must be accepted: send `terms_version` as `terms`.",
    "signup_closed": "The site takes no new accounts.",
    "not_found": "Nothing is there, or nothing that is yours.",
    "method_not_allowed": "The resource does not have this method.",
    "content_too_large": "The body has more than 64 KiB.",
    "unsupported_media_type": "The call does not take this media type.",
    "throttled": "Too many attempts: wait as long as `Retry-After` says.",
    "busy": "The site is busy: wait as long as `Retry-After` says.",
    "unavailable": "Something that the site needs does not answer: see `Retry-After`.",
}

GET_OPTIONS = "For the passkey (WebAuthn, `PublicKeyCredentialRequestOptions`)."
REQUEST_ID = {"type": "string", "description": "As in `X-Request-ID`, for questions to us."}
CHALLENGED = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750."}}
LATER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
# For each status: the name of the response component, the schema of its body, its headers, and its
# description.
STATUSES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "400": ("BadRequest", "RequestError", {}, "Errors by field, or `detail` and `code`."),
    "401": ("Unauthorized", "Error", CHALLENGED, "No credentials, or wrong ones."),
    "403": ("Forbidden", "ScopeError", {}, "The credentials are valid, but do not allow this."),
    "404": ("NotFound", "Error", {}, "Nothing is there, or nothing that is yours."),
    "405": ("MethodNotAllowed", "Error", {}, "The resource does not have this method."),
    "409": ("Conflict", "Error", {}, "Somebody else has changed the account meanwhile."),
    "413": ("ContentTooLarge", "Error", {}, "The body is too large."),
    "415": ("UnsupportedMediaType", "Error", {}, "The call does not take this media type."),
    "429": ("TooManyRequests", "Error", LATER, "Too many requests: try again later."),
    "503": ("ServiceUnavailable", "Error", LATER, "Something that the site needs does not answer."),
}
# The operations that answer 401 to require a second step.
SIGN_INS = {"sign_in", "sign_in_browser"}
SIGN_IN_REFUSED = "SignInRefused"
# The operations that answer 409 if somebody else was faster.
CONFLICTS = {"act_on_account"}
EXAMPLE = {
    "detail": "Your account has a second factor. Use it to finish signing in.",
    "code": "second_factor_required",
    "request_id": "4f2a9c0e6b1d8375",
    "challenge": "9Vd1qK2vT0mXc8RzJ4uYbA",
    "methods": ["totp", "email"],
}


def schemas() -> dict[str, Any]:
    """Return the OpenAPI schemas of the bodies of error responses."""
    methods = list(map(str, SecondMethod))
    either = [{"$ref": f"#/components/schemas/{name}"} for name in ("Error", "FieldErrors")]
    return {
        "ErrorCode": {
            "type": "string",
            "enum": list(CODES),
            "description": "\n".join(f"* `{code}`: {when}" for code, when in CODES.items()),
        },
        "Error": _error("What went wrong."),
        "FieldError": {
            "type": "object",
            "properties": {
                "field": {"type": "string", "description": "Its name, or `non_field_errors`."},
                "code": {"type": "string", "description": "Such as `required`, for programs."},
                "detail": {"type": "string", "description": "What is wrong, for people."},
            },
            "required": ["field", "code", "detail"],
        },
        "FieldErrors": {
            "type": "object",
            "description": "What is wrong with each field: in `errors`, and by its name.",
            "properties": {
                "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
                "request_id": REQUEST_ID,
            },
            "required": ["errors", "request_id"],
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "RequestError": {"description": "What is wrong with the request.", "anyOf": either},
        "ScopeError": _error(
            "What is not allowed; with `insufficient_scope`, which scope would allow it; with "
            "`terms_required`, which terms must be accepted. `url` is a page on which it is "
            "possible.",
            scope={"type": "string"},
            terms_url={"type": "string", "format": "uri"},
            terms_version={"type": "string"},
            url={"type": "string", "format": "uri"},
        ),
        "SignInError": _error(
            "Why nobody is signed in. With `second_factor_required` send a code by one of "
            "`methods` with `challenge`, or the response of a passkey to `options`.",
            challenge={"type": "string"},
            methods={"type": "array", "items": {"type": "string", "enum": methods}},
            options={"type": "object", "additionalProperties": {}, "description": GET_OPTIONS},
        ),
    }


def _error(description: str, **more: dict[str, Any]) -> dict[str, Any]:
    code = {"$ref": "#/components/schemas/ErrorCode"}
    return {
        "type": "object",
        "description": description,
        "properties": {
            "detail": {"type": "string"},
            "code": code,
            "request_id": REQUEST_ID,
            **more,
        },
        "required": ["detail", "code", "request_id"],
    }


def responses() -> dict[str, Any]:
    """Return the OpenAPI response components of errors."""
    found = {
        name: _response(description, schema, headers)
        for name, schema, headers, description in STATUSES.values()
    }
    refused = _response("Wrong credentials, or a code must follow.", "SignInError", CHALLENGED)
    refused["content"]["application/json"]["example"] = EXAMPLE
    return found | {SIGN_IN_REFUSED: refused}


def _response(description: str, schema: str, headers: dict[str, Any]) -> dict[str, Any]:
    body = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    response: dict[str, Any] = {"description": description, "content": {"application/json": body}}
    return response | ({"headers": headers} if headers else {})


def add_to(operation: dict[str, Any]) -> None:
    """Add references to every error response that ``operation`` can return.

    Every operation can return 400, because the Host header may be unknown. Every operation can
    return 401 and 403, because even an operation without authentication may take credentials in the
    body.
    """
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    left_out = set() if "requestBody" in operation else {"415"}
    if operation["operationId"] not in CONFLICTS:
        left_out.add("409")
    if not places & {"path", "query"}:
        left_out.add("404")
    for status, (name, *_) in STATUSES.items():
        may_go_on = status == "401" and operation["operationId"] in SIGN_INS
        reference = {"$ref": f"#/components/responses/{SIGN_IN_REFUSED if may_go_on else name}"}
        if status not in left_out:
            operation["responses"].setdefault(status, reference)


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
EXAMPLES = {
    "sign_up": Example({**_PASSWORD, "email": EMAIL}, SIGN_UP),
    "resend_email": Example({"email": EMAIL, "username": "alice"}),
    "verify_email": Example({"email": EMAIL, "username": "alice", "code": "1234 5678"}, SIGN_UP),
    "get_user": Example(answer=PERSON, id=ALICE),
    "sign_in": Example(_PASSWORD, TOKENS),
    "complete_sign_in": Example({"challenge": TOKEN_CHALLENGE, "code": "123456"}, TOKENS),
    "passkey_sign_in_options": Example(answer=OPTIONS),
    "renew_token": Example({"refresh": REFRESH}, TOKENS),
    "verify_token": Example({"token": TOKEN}, CLAIMS),
    "revoke_token": Example({"token": REFRESH}),
    "sign_in_browser": Example(_PASSWORD, ACCESS),
    "renew_browser_session": Example({}, ACCESS),
    "end_browser_session": Example(),
    "get_me": Example(answer=PERSON),
    "update_me": Example({"display_name": "Alice"}, {**PERSON, "display_name": "Alice"}),
    "delete_me": Example({"username": "alice"}, {"deletion_due": "2026-12-10T09:30:00Z"}),
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
    "request_export": Example(answer=EXPORT),
    "get_export": Example(answer=EXPORT, id=SESSION),
    "list_invitations": Example(answer=_page(INVITATION)),
    "invite": Example({"email": "dave@example.org", "days": 7}, INVITATION),
    "revoke_invitation": Example(id=INVITATION_ID),
}


# Credentials of operations whose views have no authentication classes and check credentials
# themselves. ``{}`` makes them optional: they may be in the body, or there may be no session to
# revoke.
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "sign_in": [{}, {"basic": []}],
    "sign_in_browser": [{}, {"basic": []}],
    "renew_browser_session": [{"refresh_cookie": []}],
    "end_browser_session": [{}, {"refresh_cookie": []}],
}


# Bodies of DELETE requests, which drf-spectacular leaves out.
BODIES = {
    "delete_me": {
        "type": "object",
        "properties": {"username": {"type": "string", "description": "Your username."}},
        "required": ["username"],
        "additionalProperties": False,
    }
}


@login_not_required
@require_safe
def description(_request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI 3.1 description as JSON."""
    return HttpResponse(as_json(), content_type="application/json")


@login_not_required
@csp_override(settings.SECURE_CSP_API_DOCS)
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the OpenAPI description with Swagger UI, which can send calls."""
    title = settings.SPECTACULAR_SETTINGS["TITLE"]
    return render(request, "accounts/ops/docs.html", {"title": title})


def complete(result: dict[str, Any], **_more: Any) -> dict[str, Any]:
    """Return drf-spectacular's ``result`` with examples, errors and shared components added."""
    components = result["components"]
    for name, schema in components["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    components["schemas"] |= schemas()
    components["responses"] = responses()
    components["securitySchemes"]["refresh_cookie"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.REFRESH_COOKIE_NAME,
        "description": "The refresh token of a page in a browser.",
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return result


def _complete(operation: dict[str, Any]) -> None:
    """Add summary, security, example and errors to an operation.

    An operation without a docstring, which may come from another app, gets its id as the summary.
    """
    name = operation["operationId"]
    text = operation.setdefault("description", name.replace("_", " ").capitalize())
    operation["summary"] = text.partition(". ")[0].split("\n")[0]
    operation.setdefault("security", SECURITY.get(name, []))
    if name in BODIES:
        content = {"application/json": {"schema": BODIES[name]}}
        operation["requestBody"] = {"content": content, "required": True}
    if name in EXAMPLES:
        _add_example(operation, EXAMPLES[name])
    add_to(operation)


def _add_example(operation: dict[str, Any], example: Example) -> None:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        media["example"] = example.request
    for response in operation["responses"].values():
        if media := response.get("content", {}).get("application/json"):
            media["example"] = example.answer
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["example"] = parameter["schema"].get("enum", [example.id])[-1]


@lru_cache(maxsize=1)
def as_json() -> bytes:
    """Return the OpenAPI description in the site's default language; it is built once."""
    with translation.override(settings.LANGUAGE_CODE):
        return json.dumps(SchemaGenerator().get_schema(request=None, public=True)).encode()


def _scopes(auto_schema: AutoSchema) -> list[str]:
    """Return the scope that an operation requires, as OpenAPI 3.1 lists it in ``security``."""
    area = getattr(auto_schema.view, "area", "")
    return [required_scope(area, auto_schema.method)] if area else []


class KeyScheme(OpenApiAuthenticationExtension):
    """Describes API keys. No operation that requires recent authentication accepts an API key."""

    target_class = "accounts.apikeys.authentication.KeyAuthentication"
    name = "api_key"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        is_closed = any(isinstance(of, IsFresh) for of in auto_schema.view.get_permissions())
        return [] if is_closed else [{self.name: _scopes(auto_schema)}]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key."}


class CredentialsScheme(OpenApiAuthenticationExtension):
    """Describes access tokens and HTTP Basic."""

    target_class = "accounts.tokens.authentication.Authentication"
    name = ["access_token", "basic"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        token, password = self.name
        return [{token: _scopes(auto_schema)}, {password: []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        basic = (
            "A username or email address and the password; outside `token/` and `session/` only if "
            "the site allows it. Or an access token and any password."
        )
        token = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        return [
            token | {"description": "An access token."},
            {"type": "http", "scheme": "basic", "description": basic},
        ]

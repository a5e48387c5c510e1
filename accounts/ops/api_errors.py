"""The errors of the API in its OpenAPI description, declared once for all operations."""

from typing import Any

from accounts.signin.second_step import SecondMethod

# Every `code` in answers of the API, and what it means.
CODES = {
    "bad_request": "The request is not meant for this site.",
    "parse_error": "The body cannot be parsed.",
    "invalid_code": "The code is wrong, old or used.",
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
    "second_factor_required": "A code must follow, with `challenge`.",
    "invalid_challenge": "The challenge is not valid any more: sign in again.",
    "insufficient_user_authentication": "This needs a sign-in of the last ten minutes.",
    "account_inactive": "The account is deactivated.",
    "enrolment_required": "The account must add a second factor first, on the site.",
    "password_compromised": "Attackers know the password: set a new one on the site.",
    "insufficient_scope": "The token lacks the scope that `scope` names.",
    "not_in_role": "Your role as staff does not include this.",
    "not_allowed_on_staff": "The account has rights that you do not have, or is your own.",
    "already_done": "Nothing is left to do: somebody else may have done it.",
    "outdated": "The account was changed at the same moment: read it, then try again.",
    "factor_required": "The account cannot be without this factor: remove all.",
    "not_offered": "The account cannot be recovered by waiting.",
    "not_for_pages": "Pages in a browser cannot create API keys.",
    "origin_not_allowed": "This page may not use `session/`.",
    "signup_closed": "The site takes no new accounts.",
    "not_found": "Nothing is there, or nothing that is yours.",
    "method_not_allowed": "The resource does not have this method.",
    "content_too_large": "The body has more than 64 KiB.",
    "unsupported_media_type": "The call does not take this media type.",
    "throttled": "Too many attempts: wait as long as `Retry-After` says.",
    "busy": "The site is busy: wait as long as `Retry-After` says.",
    "unavailable": "Something that the site needs does not answer: see `Retry-After`.",
}

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
    "challenge": "9Vd1qK2vT0mXc8RzJ4uYbA",
    "methods": ["totp", "email"],
}


def schemas() -> dict[str, Any]:
    """Return the OpenAPI schemas of the bodies of error responses."""
    methods = [str(method) for method in SecondMethod if method != SecondMethod.PASSKEY]
    either = [{"$ref": f"#/components/schemas/{name}"} for name in ("Error", "FieldErrors")]
    return {
        "ErrorCode": {
            "type": "string",
            "enum": list(CODES),
            "description": "\n".join(f"* `{code}`: {when}" for code, when in CODES.items()),
        },
        "Error": _error("What went wrong."),
        "FieldErrors": {
            "type": "object",
            "description": "What is wrong with each field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "RequestError": {"description": "What is wrong with the request.", "anyOf": either},
        "ScopeError": _error(
            "What is not allowed; with `insufficient_scope`, which scope would allow it.",
            scope={"type": "string"},
        ),
        "SignInError": _error(
            "Why nobody is signed in. With `second_factor_required` send a code by one of "
            "`methods` with `challenge`. If `methods` is empty, only a passkey will do, on the "
            "site.",
            challenge={"type": "string"},
            methods={"type": "array", "items": {"type": "string", "enum": methods}},
        ),
    }


def _error(description: str, **more: dict[str, Any]) -> dict[str, Any]:
    code = {"$ref": "#/components/schemas/ErrorCode"}
    return {
        "type": "object",
        "description": description,
        "properties": {"detail": {"type": "string"}, "code": code, **more},
        "required": ["detail", "code"],
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

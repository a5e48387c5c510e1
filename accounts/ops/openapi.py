"""The OpenAPI description of the API, generated from the views and ``accounts/ops/schema.py``."""

import json
from collections import defaultdict
from functools import lru_cache
from shlex import quote
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

from accounts.calls import conditions, idempotency
from accounts.common.client_info import client_of
from accounts.common.pages import form_page
from accounts.ops.schema import CODES, REQUESTS, TITLES, example_of
from accounts.sessions.current import session_of
from accounts.signin.recent import recent_authentication_required
from accounts.signin.second_step import SecondMethod
from accounts.tokens.authentication import ForPerson, HasOwnSession, required_scope
from accounts.tokens.services import issue_to_page

_TITLE = settings.SPECTACULAR_SETTINGS["TITLE"]
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
    "412": ("PreconditionFailed", "Error", {}, "It was changed since you read it."),
    "413": ("ContentTooLarge", "Error", {}, "The body is too large."),
    "415": ("UnsupportedMediaType", "Error", {}, "The call does not take this media type."),
    "422": ("UnprocessableContent", "Error", {}, "The key was used with another body."),
    "429": ("TooManyRequests", "Error", LATER, "Too many requests: try again later."),
    "503": ("ServiceUnavailable", "Error", LATER, "Something that the site needs does not answer."),
}
# The operations that respond with 401 to require a second step.
SIGN_INS = {
    "sign_in",
    "sign_in_browser",
    "sign_in_by_code",
    "check_password_reset",
    "reset_password",
}
SIGN_IN_REFUSED = "SignInRefused"
# The operations that respond with 409 if somebody else has changed the object meanwhile.
CONFLICTS = {
    *("update_account", "delete_account", "act_on_account"),
    *("add_email", "confirm_email", "make_email_primary", "remove_email"),
    *("set_emailed_codes", "add_authenticator_app", "add_passkey", "make_recovery_codes"),
    *("complete_enrolment", "disconnect_provider"),
    *("remove_authenticator_app", "remove_passkey"),
    *("change_password", "set_password", "change_username"),
}
EXAMPLE = {
    "detail": "Use your passkey or a code to finish signing in.",
    "code": "second_factor_required",
    "request_id": "4f2a9c0e6b1d8375",
    "challenge": "9Vd1qK2vT0mXc8RzJ4uYbA",
    "methods": ["totp", "email"],
}


# The schema of errors about members of the body or parameters of the query.
FIELD_ERRORS: dict[str, Any] = {
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
        **FIELD_ERRORS,
        "RequestError": {"description": "What is wrong with the request.", "anyOf": either},
        "ScopeError": _error(
            "What is not allowed; with `insufficient_scope`, which scope would allow it; with "
            "`terms_required`, which terms must be accepted. `url` is a page on which it is "
            "possible.",
            scope={"type": "string"},
            terms_url={"type": "string", "format": "uri"},
            terms_version={"type": "string"},
            url={"type": "string", "format": "uri"},
            challenge={"type": "string", "description": "For `token/enrolment/`."},
            methods={"type": "array", "items": {"type": "string", "enum": methods[:2]}},
        ),
        "SignInError": _error(
            "Why nobody is signed in. With `second_factor_required` send a code by one of "
            "`methods` with `challenge`, or the response of a passkey to `options`.",
            challenge={"type": "string"},
            methods={"type": "array", "items": {"type": "string", "enum": methods}},
            url={"type": "string", "format": "uri"},
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
    headers = {parameter["name"] for parameter in operation.get("parameters", ())}
    is_repeatable = idempotency.HEADER in headers
    if not is_repeatable:
        left_out.add("422")
    if conditions.HEADER not in headers:
        left_out.add("412")
    # An object that a repeated call has created may have been deleted.
    if not (is_repeatable or places & {"path", "query"}):
        left_out.add("404")
    for status, (name, *_) in STATUSES.items():
        may_go_on = status == "401" and operation["operationId"] in SIGN_INS
        reference = {"$ref": f"#/components/responses/{SIGN_IN_REFUSED if may_go_on else name}"}
        if status not in left_out:
            operation["responses"].setdefault(status, reference)


# The credentials of operations whose views check them without authentication classes. ``{}`` makes
# them optional: they may be in the body, or there may be no session to revoke.
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "sign_in": [{}, {"basic": []}],
    "sign_in_browser": [{}, {"basic": []}],
    "renew_browser_session": [{"refresh_cookie": []}],
    "end_browser_session": [{}, {"refresh_cookie": []}],
}


# Members of responses that can be missing, by the name of their schema.
SOMETIMES = defaultdict[str, set[str]](
    set,
    {
        "lists": {"count", "previous"},
        "Claims": {"groups", "groups_omitted", "orig_iat"},
        "Person": {"email_verified"},
        "ReauthenticationMethods": {"options"},
        "Tokens": {"refresh"},
    },
)
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
    """Show the OpenAPI description with Swagger UI, by which people can make calls."""
    return render(request, "accounts/ops/docs.html", {"title": _TITLE})


@csp_override(settings.SECURE_CSP_API_DOCS)
@form_page
@recent_authentication_required
def own_docs(request: HttpRequest) -> HttpResponse:
    """Show the description to a signed-in person. A POST request fills in an access token.

    The token is only in the response to this request, and in no URL or storage.
    """
    context: dict[str, Any] = {"title": _TITLE, "is_own": True}
    if request.method == "POST":
        context["token"] = issue_to_page(session_of(request), client_of(request))
    return render(request, "accounts/ops/docs.html", context)


def complete(result: dict[str, Any], **_more: Any) -> dict[str, Any]:
    """Return drf-spectacular's ``result`` with examples, errors and shared components added."""
    components = result["components"]
    for name, schema in components["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
        elif "properties" in schema:
            # drf-spectacular marks members that requests may leave out as optional, also in
            # responses.
            left_out = SOMETIMES["lists" if name.startswith("Paginated") else name]
            schema["required"] = [known for known in schema["properties"] if known not in left_out]
    components["schemas"] |= schemas()
    components["responses"] = responses()
    components["securitySchemes"]["refresh_cookie"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.REFRESH_COOKIE_NAME,
        "description": "The refresh token of a page in a browser.",
    }
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _complete(operation, components["schemas"])
            origin = result["servers"][0]["url"]
            operation["x-codeSamples"] = samples_of(method, origin + path, operation)
    return result


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add the title (``summary``), security, examples and errors to an operation."""
    name = operation["operationId"]
    operation["summary"] = TITLES.get(name, name.replace("_", " ").capitalize())
    operation.setdefault("security", SECURITY.get(name, []))
    if name in BODIES:
        content = {"application/json": {"schema": BODIES[name]}}
        operation["requestBody"] = {"content": content, "required": True}
    _add_examples(operation, schemas)
    add_to(operation)


def _add_examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    chosen = REQUESTS.get(operation["operationId"])
    for media in operation.get("requestBody", {}).get("content", {}).values():
        example = example_of(media["schema"], schemas)
        media["example"] = example | chosen if chosen else example
    for response in operation["responses"].values():
        if media := response.get("content", {}).get("application/json"):
            media["example"] = example_of(media["schema"], schemas)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["example"] = example_of(parameter["schema"], schemas, parameter["name"])


@lru_cache(maxsize=1)
def as_json() -> bytes:
    """Return the OpenAPI description in the site's default language. The result is cached."""
    with translation.override(settings.LANGUAGE_CODE):
        return json.dumps(SchemaGenerator().get_schema(request=None, public=True)).encode()


def _scopes(auto_schema: AutoSchema) -> list[str]:
    """Return the scope that an operation requires, as OpenAPI 3.1 lists it in ``security``."""
    area = getattr(auto_schema.view, "area", "")
    return [required_scope(area, auto_schema.method)] if area else []


class KeyScheme(OpenApiAuthenticationExtension):
    """Describes API keys. Operations for people do not accept API keys."""

    target_class = "accounts.apikeys.authentication.KeyAuthentication"
    name = "api_key"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        closed = (HasOwnSession, ForPerson)
        is_closed = any(isinstance(of, closed) for of in auto_schema.view.get_permissions())
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


JSON = "application/json"


def samples_of(method: str, url: str, operation: dict[str, Any]) -> list[dict[str, str]]:
    """Return code samples (``x-codeSamples``) that send the example of ``operation`` to ``url``.

    They read an access token or an API key from the environment variable ``TOKEN``.
    """
    path = {p["name"]: p["example"] for p in operation.get("parameters", ()) if p["in"] == "path"}
    headers = {
        parameter["name"]: parameter["schema"].get("enum", [""])[0]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header" and parameter.get("required")
    }
    has_token = any("access_token" in way for way in operation["security"])
    content = operation.get("requestBody", {}).get("content", {})
    kind = next(iter(content), "")
    body = content[kind]["example"] if kind else None
    if kind:
        headers["Content-Type"] = kind
    request = method.upper(), url.format(**path), headers, body, has_token
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(*request)},
        {"lang": "Python", "label": "Python", "source": _python(*request)},
        {"lang": "JavaScript", "label": "JavaScript", "source": _javascript(*request)},
    ]


def _curl(method: str, url: str, headers: dict[str, str], body: Any, has_token: bool) -> str:
    parts = [f"curl -X {method} {quote(url)}"]
    if has_token:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    parts += [f"-H {quote(f'{name}: {value}')}" for name, value in headers.items()]
    if body is not None:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        parts.append(f"--data-binary {quote(text)}")
    return " \\\n  ".join(parts)


def _python(method: str, url: str, headers: dict[str, str], body: Any, has_token: bool) -> str:
    # The argument ``json`` already sets this header.
    fields = [f"{name!r}: {value!r}" for name, value in headers.items() if value != JSON]
    if has_token:
        fields.insert(0, '"Authorization": f"Bearer {os.environ[\'TOKEN\']}"')
    arguments = [repr(url)]
    if fields:
        arguments.append(f"headers={{{', '.join(fields)}}}")
    if body is not None:
        arguments.append(f"data={body!r}" if isinstance(body, str) else f"json={body!r}")
    called = "".join(f"    {argument},\n" for argument in arguments)
    imports = "import os\n\n" if has_token else ""
    end = "print(answer.status_code, answer.text)"
    return f"{imports}import requests\n\nanswer = requests.{method.lower()}(\n{called})\n{end}"


def _javascript(method: str, url: str, headers: dict[str, str], body: Any, has_token: bool) -> str:
    fields = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in headers.items()]
    if has_token:
        fields.insert(0, "Authorization: `Bearer ${process.env.TOKEN}`")
    options = [f"method: {json.dumps(method)}"]
    if fields:
        options.append(f"headers: {{ {', '.join(fields)} }}")
    if body is not None:
        sent = json.dumps(body, ensure_ascii=False)
        options.append(f"body: {sent if isinstance(body, str) else f'JSON.stringify({sent})'}")
    lines = "".join(f"  {option},\n" for option in options)
    return (
        f"const answer = await fetch({json.dumps(url)}, {{\n{lines}}});\n"
        "console.log(answer.status, await answer.text());"
    )

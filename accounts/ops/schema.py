"""The API, described: OpenAPI for programs, a page for people."""

import json
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

# What any call may answer besides what it's for, and when.
ERRORS = {
    "400": "What was sent isn’t right: by field, or `detail` and `code`.",
    "401": "No credentials, or wrong ones.",
    "403": "Good credentials that don’t allow this.",
    "404": "Nothing is there, or nothing that is yours.",
    "405": "Not by this method.",
    "413": "Too large.",
    "415": "Not of this media type.",
    "429": "Too many: later.",
    "503": "Something that the site needs is away: later.",
}
HEADERS = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}}},
    "429": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    "503": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}
ERROR = {
    "type": "object",
    "properties": {"detail": {"type": "string"}, "code": {"type": "string"}},
    "required": ["detail", "code"],
}
FIELD_ERRORS = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}


@login_not_required
@require_safe
def description(_request: HttpRequest) -> HttpResponse:
    """OpenAPI 3.1, as JSON."""
    return HttpResponse(_description(), content_type="application/json")


@login_not_required
@csp_override(settings.SECURE_CSP_API_DOCS)
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The same for people, by Swagger UI."""
    return render(request, "accounts/ops/api_docs.html", {"title": title()})


def title() -> str:
    """What the API is called."""
    return str(settings.SPECTACULAR_SETTINGS["TITLE"])


def with_errors(result: dict[str, Any], **_more: Any) -> dict[str, Any]:
    """``result`` with every error that a call may answer: what isn't said isn't answered.

    The first sentence of a call's description is its summary.
    """
    schemas = result["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    schemas |= {"Error": ERROR, "FieldErrors": FIELD_ERRORS}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["summary"] = operation["description"].partition(". ")[0].split("\n")[0]
            for status in _errors_of(operation):
                operation["responses"].setdefault(status, _error(status))
    return result


def _errors_of(operation: dict[str, Any]) -> list[str]:
    """An open call may ask for credentials in its body, so 401 and 403 belong to all; so does 400,
    of a Host that isn't ours."""
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    left_out = set() if "requestBody" in operation else {"415"}
    if not places & {"path", "query"}:
        left_out.add("404")
    return [status for status in ERRORS if status not in left_out]


def _error(status: str) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    schema = {"anyOf": [error, {"$ref": "#/components/schemas/FieldErrors"}]}
    body = {"schema": schema if status == "400" else error}
    answer: dict[str, Any] = {
        "description": ERRORS[status],
        "content": {"application/json": body},
    }
    if status in HEADERS:
        answer["headers"] = HEADERS[status]
    return answer


@lru_cache(maxsize=1)
def _description() -> bytes:
    """Made once, when it's first asked for, in the site's own language."""
    with translation.override(settings.LANGUAGE_CODE):
        return json.dumps(SchemaGenerator().get_schema(request=None, public=True)).encode()


class KeyScheme(OpenApiAuthenticationExtension):
    """An API key comes as a token does: what is said of those holds for it."""

    target_class = "accounts.apikeys.authentication.KeyAuthentication"
    name: list[str] = []

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """None of its own."""
        return []

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """None of its own."""
        return []


class CredentialsScheme(OpenApiAuthenticationExtension):
    """By what calls are made: see ``accounts.tokens.authentication``."""

    target_class = "accounts.tokens.authentication.Authentication"
    name = ["bearer", "basic"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Either of both."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Of both, in the order of their names."""
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            {"type": "http", "scheme": "basic"},
        ]

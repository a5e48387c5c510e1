"""The OpenAPI description of the API, and the page that shows it to people."""

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

from accounts.ops import api_errors
from accounts.ops.examples import EXAMPLES, Example
from accounts.tokens.permissions import IsFresh, required_scope

# Credentials of operations whose views have no authentication classes and check credentials
# themselves. ``{}`` makes them optional: they may be in the body, or there may be no session to
# revoke.
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "sign_in": [{}, {"basic": []}],
    "sign_in_browser": [{}, {"basic": []}],
    "renew_browser_session": [{"refresh_cookie": []}],
    "end_browser_session": [{}, {"refresh_cookie": []}],
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
    components["schemas"] |= api_errors.schemas()
    components["responses"] = api_errors.responses()
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
    if name in EXAMPLES:
        _add_example(operation, EXAMPLES[name])
    api_errors.add_to(operation)


def _add_example(operation: dict[str, Any], example: Example) -> None:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        media["example"] = example.request
    for response in operation["responses"].values():
        for media in response.get("content", {}).values():
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

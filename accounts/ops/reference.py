"""The API reference for people, rendered on the server from the OpenAPI description."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import getitem
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.common.languages import spoken
from accounts.ops import api_errors, schema

type Json = dict[str, Any]

# The options of curl that send credentials, which the examples take from shell variables.
OPTIONS = {
    "access_token": '-H "Authorization: Bearer $ACCESS"',
    "refresh_cookie": f'-b "{settings.REFRESH_COOKIE_NAME}=$REFRESH"',
}


@dataclass(frozen=True)
class Field:
    """A parameter of an operation, or a member of a request or response body."""

    name: str
    type: str
    is_required: bool
    description: SafeString


@dataclass(frozen=True)
class Answer:
    """A successful response of an operation."""

    status: str
    fields: list[Field]
    example: str


@dataclass(frozen=True)
class Operation:
    """An operation, as the page shows it.

    Attributes:
        credentials: the names of the security schemes; the empty name means that none is needed.
        scopes: the scopes that tokens and API keys need.
        errors: the statuses of its error responses.
    """

    id: str
    tag: str
    method: str
    path: str
    description: SafeString
    credentials: list[str]
    scopes: list[str]
    parameters: list[Field]
    request: list[Field]
    curl: str
    answers: list[Answer]
    errors: list[str]


@login_not_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the API reference."""
    menu, body = _rendered(spoken())
    context = {"title": schema.title(), "menu": menu, "body": body}
    return render(request, "accounts/ops/reference.html", context)


@lru_cache(maxsize=len(settings.LANGUAGES))
def _rendered(_language: str) -> tuple[SafeString, SafeString]:
    """Return the menu and the body of the page; they are rendered once for each language."""
    document = json.loads(schema.as_json())
    operations = list(_operations(document))
    context = {
        "about": _prose(document["info"]["description"]),
        "tags": [
            (
                tag["name"],
                _prose(tag["description"]),
                [o for o in operations if o.tag == tag["name"]],
            )
            for tag in document["tags"]
        ],
        "schemes": {
            name: _prose(scheme["description"])
            for name, scheme in document["components"]["securitySchemes"].items()
        },
        "statuses": [
            (status, _prose(description))
            for status, (*_names, description) in api_errors.STATUSES.items()
        ],
        "codes": [(code, _prose(when)) for code, when in api_errors.CODES.items()],
    }
    menu, body = (f"accounts/ops/reference_{part}.html" for part in ("menu", "body"))
    return render_to_string(menu, context), render_to_string(body, context)


def _operations(document: Json) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield _operation(document, path, method.upper(), operation)


def _operation(document: Json, path: str, method: str, operation: Json) -> Operation:
    security = operation["security"] or [{}]
    content = _content(operation.get("requestBody", {}))
    responses = operation["responses"]
    return Operation(
        id=operation["operationId"],
        tag=operation["tags"][0],
        method=method,
        path=path,
        description=_prose(operation["description"]),
        credentials=[name for way in security for name in way or [""]],
        scopes=sorted({scope for way in security for scopes in way.values() for scope in scopes}),
        parameters=[_parameter(known) for known in operation.get("parameters", ())],
        request=_fields(document, content.get("schema", {})),
        curl=_curl(document["servers"][0]["url"], path, method, operation),
        answers=[
            _answer(document, status, response)
            for status, response in responses.items()
            if status < "400"
        ],
        errors=[status for status in responses if status >= "400"],
    )


def _answer(document: Json, status: str, response: Json) -> Answer:
    content = _content(response)
    example = json.dumps(content["example"], indent=2) if "example" in content else ""
    return Answer(status, _fields(document, content.get("schema", {})), example)


def _content(body: Json) -> Json:
    """Return the schema and the example of a body in JSON, or an empty object without a body."""
    found: Json = body.get("content", {}).get("application/json", {})
    return found


def _curl(origin: str, path: str, method: str, operation: Json) -> str:
    """Return a curl command that sends the example of an operation."""
    content = _content(operation.get("requestBody", {}))
    options = []
    if method != ("POST" if content else "GET"):
        options.append(f"-X {method}")
    names = {name for way in operation["security"] for name in way}
    options += [option for name, option in OPTIONS.items() if name in names]
    for known in operation.get("parameters", ()):
        if known["in"] == "path":
            path = path.replace(f"{{{known['name']}}}", known["example"])
        if known["in"] == "header":
            value = known["schema"].get("enum", [origin])[0]
            options.append(f"-H {shlex.quote(f'{known["name"]}: {value}')}")
    if content:
        options.append(f"--json {shlex.quote(json.dumps(content['example']))}")
    return " \\\n  ".join([f"curl {origin}{path}", *options])


def _parameter(parameter: Json) -> Field:
    return Field(
        parameter["name"],
        _type({}, parameter["schema"]),
        parameter.get("required", False),
        _prose(parameter.get("description", "")),
    )


def _fields(document: Json, shape: Json) -> list[Field]:
    """Return the members of an object. A list of objects is followed by the objects' members."""
    shape = _resolved(document, shape)
    found = []
    for name, member in shape.get("properties", {}).items():
        found.append(
            Field(
                name,
                _type(document, member),
                name in shape.get("required", ()),
                _prose(_resolved(document, member).get("description", "")),
            )
        )
        rows = _fields(document, member.get("items", {}))
        found += [
            Field(f"{name}[].{row.name}", row.type, row.is_required, row.description)
            for row in rows
        ]
    return found


def _type(document: Json, shape: Json) -> str:
    """Return the type of a value in words, such as "string, at most 60 characters"."""
    shape = _resolved(document, shape)
    if either := shape.get("oneOf") or shape.get("anyOf") or shape.get("allOf"):
        return " | ".join(_type(document, one) for one in either)
    if "enum" in shape:
        return " | ".join(json.dumps(value) for value in shape["enum"])
    if shape.get("type") == "array":
        return _("list of: %s") % _type(document, shape["items"])
    kinds = shape.get("type", "object")
    words = " | ".join([kinds] if isinstance(kinds, str) else kinds)
    if "format" in shape:
        words += f" ({shape['format']})"
    if "maxLength" in shape:
        words += _(", at most %s characters") % shape["maxLength"]
    return words


def _resolved(document: Json, shape: Json) -> Json:
    """Return ``shape``, or the schema that it refers to."""
    if "$ref" not in shape:
        return shape
    _root, *names = shape["$ref"].split("/")
    found: Json = reduce(getitem, names, document)
    return found


def _prose(text: str) -> SafeString:
    """Return a description as HTML: paragraphs, with code where the text has backticks.

    The list of values that follows the description of an enumeration is left out, because the type
    names them.
    """
    text = re.sub(r"\n*^\* `.*", "", text, flags=re.MULTILINE)
    html = re.sub(r"`+(.+?)`+", r"<code>\1</code>", escape(text.strip()))
    return mark_safe("".join(f"<p>{part}</p>" for part in html.split("\n\n") if part))  # noqa: S308 escaped

"""Check answers of the API against its OpenAPI description."""

import json
import re
from collections.abc import Iterator
from functools import cache, reduce
from operator import getitem
from typing import Any
from urllib.parse import urlsplit

from django.test import RequestFactory
from jsonschema import Draft202012Validator

from tests.support.routes import ROUTES

API = "/api/v1/"
# These are not part of the description.
DESCRIPTIONS = {f"{API}schema/", f"{API}docs/"}
# A request with a wrong method can also have an unknown query parameter.
ERROR = {"$ref": "#/components/schemas/RequestError"}

type Json = dict[str, Any]


@cache
def description() -> Json:
    """Return the description, changed so that no object may have undescribed members."""
    from accounts.ops import openapi

    made: Json = json.loads(openapi.description(RequestFactory().get("/")).content)
    # A token may have claims that only its receiver knows (RFC 7519 section 4).
    made["components"]["schemas"]["Claims"]["additionalProperties"] = True
    _close(made)
    return made


def assert_described(
    path: str, method: str, status: int, media_type: str | None, body: bytes
) -> None:
    """Fail unless the description has the status, with that media type and such a body.

    For an unknown path or a method that a path does not have, the body must be an error. Status
    500 is not checked.
    """
    path = urlsplit(path).path
    if not path.startswith(API) or path in DESCRIPTIONS or status == 500 or method == "HEAD":
        return
    told = f"{method} {path}: {status} {media_type} {body[:200]!r}"
    templates = description()["paths"]
    # The one with the fewest parameters, as Django's routes are ordered.
    matching = (template for template in templates if _matches(template, path))
    template = min(matching, key=lambda template: template.count("{"), default="")
    operation = description()["paths"].get(template, {}).get(method.lower())
    if not template and status != 404:
        return
    content = _content(template, method.lower(), str(status), told) if operation else {}
    if operation and not content:
        assert not body, told
        return
    if media_type in content.keys() - {"application/json"}:
        return
    schema = content["application/json"]["schema"] if operation else ERROR
    assert media_type == "application/json", told
    errors = list(validator(schema).iter_errors(json.loads(body)))
    assert not errors, f"{told}: {errors[0].message}"


def _content(template: str, method: str, status: str, told: str) -> Json:
    responses = description()["paths"][template][method]["responses"]
    assert status in responses, told
    response: Json = responses[status]
    if "$ref" in response:
        response = resolve(description(), response)
    content: Json = response.get("content", {})
    return content


def validator(schema: Json) -> Draft202012Validator:
    """Return the validator of ``schema``, a part of the description."""
    return _validator(json.dumps(schema))


@cache
def _validator(schema: str) -> Draft202012Validator:
    components = {"components": description()["components"]}
    return Draft202012Validator(json.loads(schema) | components)


def _matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


def _close(node: Any) -> None:
    if isinstance(node, list):
        for child in node:
            _close(child)
    elif isinstance(node, dict):
        if "properties" in node:
            node.setdefault("additionalProperties", False)
        for child in node.values():
            _close(child)


SCHEMA = "/api/v1/schema/"
METHODS = {"get", "post", "put", "patch", "delete"}


def operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the path, the method and the description of each operation but those of other apps."""
    ours = {re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern)) for route in ROUTES}
    for path, methods in described["paths"].items():
        for method in methods.keys() & METHODS if path.removeprefix(API) in ours else ():
            yield path, method, methods[method]


def resolve(described: Json, place: Json) -> Json:
    """Return the object to which a reference points."""
    _, *names = place["$ref"].split("/")
    return reduce(getitem, names, described)

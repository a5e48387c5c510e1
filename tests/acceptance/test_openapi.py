"""The OpenAPI description of the API is valid and complete."""

import base64
import re
from collections.abc import Iterator
from hashlib import sha384
from typing import Any

import pytest
from django.test import Client
from django.urls import path as route_to
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from openapi_spec_validator import OpenAPIV31SpecValidator
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.common.errors import PublicError
from accounts.ops.schema import CONFLICTS, EXAMPLES
from accounts.profile.api import PersonSerializer
from tests.support.api_jwt import TOKEN, call
from tests.support.openapi import METHODS, SCHEMA, Json, operations, resolve
from tests.support.routes import ROUTES
from tests.support.steps import WRONG
from tests.support.urls import OPEN

# These serve the description and are not part of it.
DESCRIPTIONS = {"schema/", "docs/"}
# Statuses that any call may answer.
ALWAYS = {"400", "401", "403", "405", "413", "429", "503"}

# The form of ids that drf-spectacular generates.
UNCHOSEN = re.compile(r"_(list|create|retrieve|update|destroy)$")
# Codes of errors that only pages raise, or that the API returns by field.
PAGES_ONLY = {
    *("already_there", "connected_elsewhere", "email_taken", "enrolment_not_needed", "error"),
    *("invalid_mode", "invalid_passkey", "key_refused", "last_way_in", "link_spent"),
    *("locked_down", "no_way_back", "not_accepted", "not_due", "not_possible"),
    *("not_signed_in_anew", "not_yours"),
    *("own_address", "same_name", "signup_ended", "too_many", "username_taken"),
    "wrong_state",
}
# Codes of Django REST framework that a call can raise, and of requests that match no call.
FRAMEWORKS = {
    *("bad_request", "content_too_large", "method_not_allowed", "not_authenticated", "not_found"),
    *("parse_error", "unavailable", "unsupported_media_type"),
}


@pytest.fixture(scope="module")
def described() -> Json:
    answer = Client().get(SCHEMA)
    assert answer["Content-Type"] == "application/json"
    return dict(answer.json())


def test_the_description_is_valid_openapi_3_1_for_the_public_origin(described: Json) -> None:
    OpenAPIV31SpecValidator(described).validate()
    SchemaGenerator().get_schema(request=None, public=True)

    assert not GENERATOR_STATS, "the generator has no warnings"
    assert described["openapi"].startswith("3.1")
    assert [server["url"] for server in described["servers"]] == ["http://localhost:8000"]


def test_the_description_has_exactly_the_routes_and_methods_of_the_api(described: Json) -> None:
    routed = {
        ("/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern)), method)
        for route in ROUTES
        if str(route.pattern) not in DESCRIPTIONS
        for method in METHODS
        if hasattr(getattr(route.callback, "cls", None), method)
    }

    assert {(path, method) for path, method, _ in operations(described)} == routed


def test_every_operation_has_a_summary_and_all_its_errors(described: Json) -> None:
    for path, method, operation in operations(described):
        responses = operation["responses"]
        told = {status for status in responses if status >= "400"}
        expected = ALWAYS | ({"415"} if "requestBody" in operation else set())
        if any(known["in"] != "header" for known in operation.get("parameters", ())):
            expected |= {"404"}
        if operation["operationId"] in CONFLICTS:
            expected |= {"409"}
        assert expected <= told <= expected | {"404"}, (path, method)
        errors = {status: resolve(described, responses[status]) for status in told}
        for error in errors.values():
            assert "Error" in error["content"]["application/json"]["schema"]["$ref"]
        assert "WWW-Authenticate" in errors["401"]["headers"], (path, method)
        for later in ("429", "503"):
            assert "Retry-After" in errors[later]["headers"], (path, method)
        assert operation["summary"].strip(), (path, method)


def test_every_operation_has_a_chosen_id_a_described_tag_security_and_an_example(
    described: Json,
) -> None:
    tags = {tag["name"] for tag in described["tags"] if tag["description"]}
    schemes = described["components"]["securitySchemes"].keys()
    ids = [operation["operationId"] for *_, operation in operations(described)]

    assert len(set(ids)) == len(ids)
    assert [name for name in ids if UNCHOSEN.search(name)] == []
    assert set(ids) == EXAMPLES.keys()
    for *_, operation in operations(described):
        assert set(operation["tags"]) <= tags
        assert {name for way in operation["security"] for name in way} <= schemes


def test_a_401_of_a_sign_in_declares_the_challenge_and_the_methods_of_the_second_step(
    described: Json,
) -> None:
    for path in ("/api/v1/token/", "/api/v1/session/"):
        refused = resolve(described, described["paths"][path]["post"]["responses"]["401"])
        schema = resolve(described, refused["content"]["application/json"]["schema"])
        assert schema["properties"]["challenge"] == {"type": "string"}
        methods = schema["properties"]["methods"]["items"]["enum"]
        assert methods == ["totp", "recovery_code", "email"]


def test_the_error_codes_are_an_enum_of_all_that_the_api_returns(described: Json) -> None:
    """``tests.support.openapi`` checks all API answers in the test suite for undescribed codes."""
    schemas = described["components"]["schemas"]
    codes = set(schemas["ErrorCode"]["enum"])
    raised = {error.code for error in subclasses(PublicError)}

    assert codes == (raised | FRAMEWORKS) - PAGES_ONLY
    for name in ("Error", "ScopeError", "SignInError"):
        assert schemas[name]["properties"]["code"] == {"$ref": "#/components/schemas/ErrorCode"}


def subclasses(error: type[Any]) -> Iterator[type[Any]]:
    """Yield a class and all its subclasses."""
    yield error
    for below in error.__subclasses__():
        yield from subclasses(below)


def test_an_operation_without_a_docstring_uses_its_id_as_summary() -> None:
    class Undocumented(APIView):
        @extend_schema(responses=PersonSerializer)
        def get(self, request: Request) -> None: ...

    routes = [route_to("notes/", Undocumented.as_view())]
    schema = SchemaGenerator(patterns=routes).get_schema(public=True)

    assert schema["paths"]["/notes/"]["get"]["summary"] == "Notes retrieve"


def test_nullable_members_are_written_as_in_openapi_3_1(described: Json) -> None:
    pages = described["components"]["schemas"]["PaginatedKeyList"]["properties"]

    assert "nullable" not in str(described)
    assert pages["next"]["type"] == ["string", "null"]


@pytest.mark.django_db
def test_refusals_of_any_call_are_answered_as_described() -> None:
    """``call`` checks each answer against the description."""
    guess = {"username": "alice", "password": WRONG}
    sent: list[Json] = [
        {"method": "PUT", "body": guess},
        {"body": b" " * 65_537},
        {"body": b"<a/>", "kind": "text/xml"},
        *[{"body": guess}] * 20,
    ]
    statuses = [call(Client(), TOKEN, **request).status for request in sent]

    assert [*statuses[:4], statuses[-1]] == [405, 413, 415, 401, 429]


def test_only_anonymous_calls_are_described_as_open(described: Json) -> None:
    """A generated client sends credentials only where the description wants them."""
    opened = {
        path.removeprefix("/")
        for path, _, operation in operations(described)
        if "access_token" not in str(operation["security"])
    }

    assert opened == {path for path in OPEN if path.startswith("api/")} - {
        f"api/v1/{path}" for path in DESCRIPTIONS
    }


def test_the_scripts_of_the_api_reference_match_their_integrity_digests() -> None:
    page = Client().get("/api/v1/docs/").text

    scripts = re.findall(r'<script [^>]*src="([^"]+)" integrity="sha384-([^"]+)"', page)
    assert len(scripts) == page.count("<script") == 2
    for address, digest in scripts:
        content = Client().get(address).getvalue()  # served by this site
        assert base64.b64encode(sha384(content).digest()).decode() == digest

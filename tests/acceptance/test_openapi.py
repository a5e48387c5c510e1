"""The API's description of itself: valid, complete, and nothing else."""

import base64
import re
from collections.abc import Iterator
from hashlib import sha384
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator

from accounts import api_urls
from tests.house.test_urls import OPEN

SCHEMA = "/api/v1/schema/"
METHODS = {"get", "post", "put", "patch", "delete"}
# What describes the others is no part of what it describes.
DESCRIPTIONS = {"schema/", "docs/"}
# Refused before any call is found, or by each of them.
ALWAYS = {"400", "401", "403", "405", "413", "429", "503"}

type Json = dict[str, Any]


@pytest.fixture(scope="module")
def described() -> Json:
    answer = Client().get(SCHEMA)
    assert answer["Content-Type"] == "application/json"
    return dict(answer.json())


def operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, method and what is said of them."""
    for path, methods in described["paths"].items():
        for method in methods.keys() & METHODS:
            yield path, method, methods[method]


def test_it_is_valid_openapi_3_1_at_the_public_origin(described: Json) -> None:
    OpenAPIV31SpecValidator(described).validate()
    SchemaGenerator().get_schema(request=None, public=True)

    assert not GENERATOR_STATS, "nothing was left unsaid while it was made"
    assert described["openapi"].startswith("3.1")
    assert [server["url"] for server in described["servers"]] == ["http://localhost:8000"]


def test_every_route_is_in_it_with_its_methods_and_nothing_else(described: Json) -> None:
    routed = {
        ("/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern)), method)
        for route in api_urls.urlpatterns
        if str(route.pattern) not in DESCRIPTIONS
        for method in METHODS
        if hasattr(getattr(route.callback, "cls", None), method)
    }

    assert {(path, method) for path, method, _ in operations(described)} == routed


def test_every_operation_says_what_it_does_and_tells_all_its_errors(described: Json) -> None:
    for path, method, operation in operations(described):
        responses = operation["responses"]
        told = {status for status in responses if status >= "400"}
        expected = ALWAYS | ({"415"} if "requestBody" in operation else set())
        if any(known["in"] != "header" for known in operation.get("parameters", ())):
            expected |= {"404"}
        assert expected <= told <= expected | {"404"}, (path, method)
        for status in told:
            assert "Error" in str(responses[status]["content"]["application/json"]["schema"])
        assert "WWW-Authenticate" in responses["401"]["headers"], (path, method)
        for later in ("429", "503"):
            assert "Retry-After" in responses[later]["headers"], (path, method)
        assert operation["summary"].strip(), (path, method)
    ids = [operation["operationId"] for *_, operation in operations(described)]
    assert len(set(ids)) == len(ids)


def test_only_calls_that_strangers_may_make_are_described_as_open(described: Json) -> None:
    """Whoever generates a client from it sends credentials where they are wanted."""
    opened = {
        path.removeprefix("/")
        for path, _, operation in operations(described)
        if not any(operation.get("security", described.get("security", [])))
    }

    assert opened == {path for path in OPEN if path.startswith("api/")} - {
        f"api/v1/{path}" for path in DESCRIPTIONS
    }


def test_the_scripts_of_the_page_for_people_run_only_as_they_are() -> None:
    page = Client().get("/api/v1/docs/").text

    scripts = re.findall(r'<script [^>]*src="([^"]+)" integrity="sha384-([^"]+)"', page)
    assert len(scripts) == page.count("<script") == 2
    for address, digest in scripts:
        content = Client().get(address).getvalue()  # of this site
        assert base64.b64encode(sha384(content).digest()).decode() == digest

"""The description of the API, and its examples."""

import json
import os
import re
import sys

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator

from accounts.ops import openapi
from accounts.ops.openapi import CONFLICTS
from accounts.ops.schema import REQUESTS
from tests.support.missing import find, missing
from tests.support.openapi import METHODS, SCHEMA, description, operations, resolve, validator
from tests.support.process import run
from tests.support.routes import ROUTES
from tests.support.site import text_of
from tests.support.steps import code_in
from tests.support.urls import OPEN

# A site of its own, because the samples sign up alice.
SITE = {"SITE_NAME": "Samples"}
# These serve the description and are not part of it.
DESCRIPTIONS = {"schema/", "docs/"}
# Statuses that any call may answer.
ALWAYS = {"400", "401", "403", "405", "413", "429", "503"}
# The form of ids that drf-spectacular generates.
UNCHOSEN = re.compile(r"_(list|create|retrieve|update|destroy)$")


@pytest.fixture(scope="module")
def described():
    answer = Client().get(SCHEMA)
    assert answer["Content-Type"] == "application/json"
    return dict(answer.json())


def test_the_description_is_valid_openapi_3_1_for_the_public_origin(described):
    OpenAPIV31SpecValidator(described).validate()
    SchemaGenerator().get_schema(request=None, public=True)

    assert not GENERATOR_STATS, "the generator has no warnings"
    assert described["openapi"].startswith("3.1")
    assert [server["url"] for server in described["servers"]] == ["http://localhost:8000"]


def test_the_description_has_exactly_the_routes_and_methods_of_the_api(described):
    routed = {
        ("/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern)), method)
        for route in ROUTES
        if str(route.pattern) not in DESCRIPTIONS
        for method in METHODS
        if hasattr(getattr(route.callback, "cls", None), method)
    }

    assert {(path, method) for path, method, _ in operations(described)} == routed


def test_every_operation_has_a_title_of_its_own_and_all_its_errors(described):
    titles = [operation["summary"] for *_, operation in operations(described)]
    assert len(set(titles)) == len(titles)
    assert [title for title in titles if not re.fullmatch(r"[A-Z][\w ,-]{3,48}\w", title)] == []
    assert openapi.TITLES.keys() <= {op["operationId"] for *_, op in operations(described)}
    for path, method, operation in operations(described):
        responses = operation["responses"]
        told = {status for status in responses if status >= "400"}
        expected = ALWAYS | ({"415"} if "requestBody" in operation else set())
        if any(known["in"] != "header" for known in operation.get("parameters", ())):
            expected |= {"404"}
        names = {known["name"] for known in operation.get("parameters", ())}
        expected |= {"422"} if "Idempotency-Key" in names else set()
        expected |= {"412"} if "If-Match" in names else set()
        if operation["operationId"] in CONFLICTS:
            expected |= {"409"}
        assert expected <= told <= expected | {"404"}, (path, method)
        errors = {status: resolve(described, responses[status]) for status in told}
        for error in errors.values():
            assert "Error" in error["content"]["application/json"]["schema"]["$ref"]
        assert "WWW-Authenticate" in errors["401"]["headers"], (path, method)
        for later in ("429", "503"):
            assert "Retry-After" in errors[later]["headers"], (path, method)


def test_every_operation_has_a_chosen_id_a_described_tag_and_security(described):
    tags = {tag["name"] for tag in described["tags"] if tag["description"]}
    schemes = described["components"]["securitySchemes"].keys()
    ids = [operation["operationId"] for *_, operation in operations(described)]

    assert len(set(ids)) == len(ids)
    assert [name for name in ids if UNCHOSEN.search(name)] == []
    assert REQUESTS.keys() <= set(ids)
    for *_, operation in operations(described):
        assert set(operation["tags"]) <= tags
        assert {name for way in operation["security"] for name in way} <= schemes


def test_only_anonymous_calls_are_described_as_open(described):
    """A generated client sends credentials only where the description wants them."""
    opened = {
        path.removeprefix("/")
        for path, _, operation in operations(described)
        if "access_token" not in str(operation["security"])
    }

    assert opened == {path for path in OPEN if path.startswith("api/")} - {
        f"api/v1/{path}" for path in DESCRIPTIONS
    }


def test_every_example_is_valid_by_its_schema_and_has_no_member_that_is_not_described():
    """Every answer in the test suite is compared with the schemas, too."""
    calls = examples = 0
    for path, method, operation in operations(description()):
        calls += 1
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in (resolve(description(), it) if "$ref" in it else it for it in bodies):
            media = body.get("content", {}).get("application/json", {})
            if "example" in media:
                examples += 1
                errors = list(validator(media["schema"]).iter_errors(media["example"]))
                assert not errors, (path, method, errors)

    assert examples > calls


def test_the_samples_in_curl_and_python_sign_alice_up_and_use_her_account(site):
    find("curl") or missing("curl")
    described = json.loads(site.client().get(SCHEMA).text)
    samples = {
        operation["operationId"]: operation["x-codeSamples"]
        for *_, operation in operations(described)
    }

    def do(name, label, token="", code=""):
        (source,) = (sample["source"] for sample in samples[name] if sample["label"] == label)
        words = ["bash", "-c", source] if label == "curl" else [sys.executable, "-c", source]
        words[-1] = words[-1].replace("1234 5678", code or "1234 5678")
        printed = run(*words, seconds=60, env={**os.environ, "TOKEN": token})
        return json.loads(printed[printed.index("{") :])

    assert do("sign_up", "curl")["username"] == "alice"
    code = code_in(text_of(site.wait_for_mail(to="alice@")))
    assert "code" not in do("verify_email", "Python", code=code)
    for label in ("curl", "Python"):
        token = do("sign_in", label)["access"]
        assert do("get_me", label, token)["username"] == "alice"
        assert do("update_me", label, token)["display_name"] == "Alice"
        assert do("create_key", label, token)["key"].startswith("authsite_")
    lists = do("list_sessions", "curl", token), do("list_keys", "Python", token)
    assert [each["count"] for each in lists] == [2, 2]

"""The API reference, which the site renders from the OpenAPI description."""

import html
import json
import re
import shlex
from typing import Any

import pytest
from django.test import Client

DOCS, CONSOLE, SCHEMA = "/api/v1/docs/", "/api/v1/docs/console/", "/api/v1/schema/"
MOST_BYTES = 105_000


@pytest.fixture(scope="module")
def page() -> str:
    return Client().get(DOCS).text


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """Return the path, the method and the description of each operation, by id."""
    paths = Client().get(SCHEMA).json()["paths"]
    return {
        operation["operationId"]: (path, method.upper(), operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def section_of(page: str, operation_id: str) -> str:
    rest = page.partition(f'<section class="card call" id="{operation_id}"')[2]
    return rest.partition("</section>")[0]


def test_it_needs_no_script_is_small_and_leads_to_the_console(page: str) -> None:
    assert "<script" not in page
    assert len(page.encode()) <= MOST_BYTES
    assert f'href="{CONSOLE}"' in page


def test_every_link_within_it_has_a_target(page: str) -> None:
    ids = re.findall(r' id="([^"]+)"', page)

    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_it_shows_the_parameters_fields_scopes_and_errors_of_every_operation(
    page: str, operations: dict[str, Any]
) -> None:
    for name, (path, method, operation) in operations.items():
        shown = section_of(page, name)
        assert f'<span class="method">{method}</span> {path}</h3>' in shown
        assert f"#/{operation['tags'][0]}/{name}" in shown, "the link to the console"
        for parameter in operation.get("parameters", ()):
            assert f"<code>{parameter['name']}</code>" in shown
        for way in operation["security"]:
            for scheme, scopes in way.items():
                assert f"<code>{scheme}</code>" in shown
                assert all(f"<code>{scope}</code>" in shown for scope in scopes)
        for status in operation["responses"]:
            link = f'<a href="#status-{status}">'
            assert (link if status >= "400" else f"Response {status}") in shown
    assert "<code>results[].expires_at</code>" in section_of(page, "list_keys")
    assert "<code>profile:write</code>" in section_of(page, "update_me")
    password = re.search(r"<code>password</code>.*", section_of(page, "sign_up"))
    assert password
    assert "string, at most 1024 characters · <strong>required</strong>" in password[0]


def test_every_example_is_a_curl_command_that_sends_the_documented_request(
    page: str, operations: dict[str, Any]
) -> None:
    for name, (path, method, operation) in operations.items():
        (example,) = re.findall(r"<code>(curl .+?)</code>", section_of(page, name), re.DOTALL)
        curl, url, *options = shlex.split(html.unescape(example).replace("\\\n", ""))
        sent = dict(zip(options[::2], options[1::2], strict=True))
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")

        assert curl == "curl"
        assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", f"http://localhost:8000{path}"), url)
        assert sent.get("-X", "POST" if body else "GET") == method
        assert json.loads(sent.get("--json", "null")) == (body and body["example"])
    assert "$ACCESS" in section_of(page, "get_me")
    assert "$ACCESS" not in section_of(page, "sign_in")
    assert "X-Requested-With: authsite" in section_of(page, "sign_in_browser")


def test_it_is_in_the_language_of_the_reader_and_marks_what_is_english() -> None:
    page = Client(headers={"Accept-Language": "de"}).get(DOCS).text

    assert '<html lang="de"' in page
    assert "Pflichtfeld" in page
    assert '<div class="stack" lang="en"><p>' in page

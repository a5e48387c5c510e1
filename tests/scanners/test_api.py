"""Linters accept the OpenAPI description, and clients generated from it sign in."""

import json
import os
import shutil

import pytest

from tests.support.missing import find, missing
from tests.support.node import packages
from tests.support.process import run
from tests.support.second_factor import SETUP, code_of, confirm_recovery_codes, seed_on
from tests.support.site import ROOT, Client
from tests.support.steps import PASSWORD, code_in, sign_in
from tests.support.virtualenvs import environment

pytestmark = pytest.mark.proof

HERE = ROOT / "tests/scanners/openapi"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
# Keeps Go from downloading: the generated client needs only the standard library.
OFFLINE = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod"}


@pytest.fixture
def description(site, tmp_path):
    """A file with the description that the site serves."""
    file = tmp_path / "schema.json"
    file.write_bytes(site.client().get("/api/v1/schema/").body)
    return file


def npm(name):
    """Return the path of a program in the npm packages of this folder."""
    return packages(HERE) / ".bin" / name


def test_redocly_finds_no_errors_and_no_warnings(description):
    config = HERE / "redocly.yaml"
    told = run(
        *(npm("redocly"), "lint", description, "--config", config, "--format", "json"),
        cwd=description.parent,
        env=os.environ | QUIET,
    )

    assert json.loads(told)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_spectral_finds_no_errors_and_no_warnings(description):
    run(
        *(npm("spectral"), "lint", description, "--ruleset", HERE / "spectral.yaml"),
        *("--fail-severity", "hint"),
        cwd=description.parent,
    )


def go_client(description, folder):
    """Generate and build a Go client by OpenAPI Generator."""
    go = find("go") or missing("Go")
    find("java") or missing("Java")
    client = folder / "client"
    run(
        *(environment(HERE / "requirements.txt") / "openapi-generator-cli", "generate"),
        *("-g", "go", "-i", description, "-o", client, "--git-host", "example.org"),
        *("--git-user-id", "authsite", "--git-repo-id", "client"),
        "--additional-properties=packageName=authsite",
        cwd=folder,
    )
    (client / "cmd").mkdir()
    shutil.copy(HERE / "sign_in.go", client / "cmd")
    run(go, "build", "-o", folder / "sign_in", "./cmd", cwd=client, env=os.environ | OFFLINE)
    return lambda *words: run(folder / "sign_in", *words, cwd=folder).strip()


def python_client(description, folder):
    """Generate a Python client by openapi-python-client."""
    programs = environment(HERE / "requirements.txt")
    config = folder / "config.json"
    binary = {"application/zip": "application/octet-stream"}
    config.write_text(json.dumps({"post_hooks": [], "content_type_overrides": binary}))
    run(
        *(programs / "openapi-python-client", "generate", "--path", description),
        *("--output-path", folder / "client", "--meta", "none", "--config", config),
        "--fail-on-warning",
        cwd=folder,
    )
    shutil.copy(HERE / "sign_in.py", folder)
    return lambda *words: run(programs / "python", "sign_in.py", *words, cwd=folder).strip()


def typescript_client(description, folder):
    """Generate TypeScript types by openapi-typescript, and compile a client with them."""
    node = find("node") or missing("Node")
    (folder / "node_modules").symlink_to(packages(HERE))
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / "sign_in.ts", folder)
    run(npm("openapi-typescript"), description, "-o", "schema.d.ts", cwd=folder)
    run(
        *(npm("tsc"), "--strict", "--module", "nodenext", "--target", "es2022", "sign_in.ts"),
        cwd=folder,
    )
    return lambda *words: run(node, "sign_in.js", *words, cwd=folder).strip()


def add_authenticator(site, name):
    """Add an authenticator on the site's pages, and return its seed."""
    browser: Client = site.client()
    sign_in(browser, name)
    seed = seed_on(browser.get(SETUP).text)
    assert browser.post(SETUP, {"code": code_of(seed)}).status == 302
    assert confirm_recovery_codes(browser).status == 302
    return seed


@pytest.mark.parametrize("generate", [go_client, python_client, typescript_client])
def test_a_generated_client_signs_up_and_signs_in_with_an_authenticator_code(
    generate, description, tmp_path, site
):
    name = generate.__name__.replace("_", "-")
    program = generate(description, tmp_path)

    assert program(site.origin, "sign-up", name, PASSWORD) == name
    code = code_in(site.wait_for_mail(to=f"{name}@"))
    assert program(site.origin, "verify", name, code) == name
    seed = add_authenticator(site, name)
    assert program(site.origin, "sign-in", name, PASSWORD, code_of(seed, 1)) == name

"""Linters accept the OpenAPI description, and clients generated from it sign in.

The types of the module for pages compile, too.
"""

import base64
import json
import os
import shutil
from pathlib import Path

import pytest
from inflection import camelize

from tests.support.missing import find, missing
from tests.support.node import packages
from tests.support.process import run
from tests.support.second_factor import code_of
from tests.support.site import ROOT
from tests.support.steps import PASSWORD, code_in
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


def generated(language, description, folder, *options):
    """Return the folder with a client that OpenAPI Generator has made."""
    find("java") or missing("Java")
    client = folder / "client"
    run(
        *(environment(HERE / "requirements.txt") / "openapi-generator-cli", "generate"),
        *("-g", language, "-i", description, "-o", client, *options),
        "--additional-properties=packageName=authsite",
        cwd=folder,
    )
    return client


def go_client(description, folder):
    """Generate and build a Go client by OpenAPI Generator."""
    go = find("go") or missing("Go")
    module = "--git-host example.org --git-user-id authsite --git-repo-id client"
    client = generated("go", description, folder, *module.split())
    (client / "cmd").mkdir()
    shutil.copy(HERE / "journey.go", client / "cmd")
    run(go, "build", "-o", folder / "journey", "./cmd", cwd=client, env=os.environ | OFFLINE)
    return lambda *words: run(folder / "journey", *words, cwd=folder).strip()


def python_client(description, folder):
    """Generate a Python client by openapi-python-client."""
    programs = environment(HERE / "requirements.txt")
    config = folder / "config.json"
    binary = dict.fromkeys(("application/zip", "application/x-ndjson"), "application/octet-stream")
    config.write_text(json.dumps({"post_hooks": [], "content_type_overrides": binary}))
    run(
        *(programs / "openapi-python-client", "generate", "--path", description),
        *("--output-path", folder / "client", "--meta", "none", "--config", config),
        "--fail-on-warning",
        cwd=folder,
    )
    shutil.copy(HERE / "journey.py", folder)
    return lambda *words: run(programs / "python", "journey.py", *words, cwd=folder).strip()


def typescript_client(description, folder):
    """Generate TypeScript types by openapi-typescript, and compile a client with them."""
    run(npm("openapi-typescript"), description, "-o", "schema.d.ts", cwd=folder)
    return compiled("journey.ts", folder)


def compiled(name, folder):
    """Compile a program of this folder in strict TypeScript; return a function that runs it."""
    node = find("node") or missing("Node")
    (folder / "node_modules").symlink_to(packages(HERE))
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / name, folder)
    options = ("--strict", "--module", "nodenext", "--target", "es2022")
    run(npm("tsc"), *options, name, cwd=folder)
    program = Path(name).with_suffix(".js")
    return lambda *words: run(node, program, *words, cwd=folder).strip()


def test_a_page_compiles_with_the_types_of_the_module_which_has_no_other_members(tmp_path):
    for file in ROOT.glob("static/authsite-1.*"):
        shutil.copy(file, tmp_path)

    assert compiled("page.ts", tmp_path)() == "true"


def test_a_kotlin_client_with_every_operation_is_generated(description, tmp_path):
    """It is not compiled: no package has a Kotlin compiler."""
    client = generated("kotlin", description, tmp_path)

    written = "".join(file.read_text() for file in client.glob("src/main/**/apis/*.kt"))
    described = json.loads(description.read_text())["paths"].values()
    names = {call["operationId"] for path in described for call in path.values()}
    absent = [name for name in names if f"fun {camelize(name, False)}(" not in written]
    assert names
    assert not absent


@pytest.mark.parametrize("generate", [go_client, python_client, typescript_client])
def test_a_generated_client_does_what_a_person_does(generate, description, tmp_path, site):
    name, new = generate.__name__.replace("_", "-"), "a lantern over seven wet roofs"
    program = generate(description, tmp_path)

    def step(what, *words):
        return program(site.origin, what, name, *words)

    assert step("sign-up", PASSWORD) == name
    mail = site.wait_for_mail(to=f"{name}@")
    assert step("verify", code_in(mail)) == name
    access, setup, secret = step("set-up", PASSWORD).split()
    seed = base64.b32decode(secret).hex()
    codes = step("enrol", access, setup, code_of(seed)).split()
    assert step("sign-in", PASSWORD, code_of(seed, 1)) == name
    # The session that has added the authenticator app goes on, too.
    assert step("end-sessions", PASSWORD, codes[0]) == "3"
    challenge = step("ask-reset")
    mail = site.wait_for_mail(to=f"{name}@", subject="password")
    assert step("reset", challenge, code_in(mail), new, codes[1]) == name
    assert step("sign-in", new, codes[2]) == name

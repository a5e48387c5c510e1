"""The guide ``docs/your-app.md``, followed step by step in a copy of the project."""

import os
import re
import shutil
import sys

import pytest

from tests.support.api import call, get_tokens
from tests.support.env import clean
from tests.support.process import run
from tests.support.site import ROOT, Site
from tests.support.steps import member, sign_in

PAGE = ROOT / "docs" / "your-app.md"
# Hidden folders are those of tools; the others are large.
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "var", "staticfiles")
# What ``make check`` and ``make test`` ask of all pages, texts, calls and scopes.
RULES = (
    *(
        f"tests/house/test_{name}.py"
        for name in ("code", "data", "docs", "templates", "translations")
    ),
    *("tests/house/test_site.py", "tests/acceptance/test_openapi.py", "tests/tokens/test_keys.py"),
)
BLOCK = re.compile(r"```(python|html|diff)\n(.*?)```", re.DOTALL)
# An app may import what the site itself never needs.
IMPORT = "\nfrom django.test.utils import override_settings  # noqa: E402, F401\n"
NAME = re.compile(r"(?:# |<!-- )(\S+)(?: -->)?\n")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with the changes of the guide."""
    copy = tmp_path_factory.mktemp("copy") / "site"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    follow(copy)
    with (copy / "notes/models.py").open("a") as file:
        file.write(IMPORT)
    return copy


@pytest.fixture
def site(copy, monkeypatch):
    site = Site(migrate=False, LIMITS_SCALE="100")
    site.make_database()
    monkeypatch.setattr(Site, "root", copy)
    site.manage("makemigrations", "notes")
    site.manage("migrate", "--verbosity", "0")
    with site:
        yield site


def follow(copy):
    """Write the files and apply the diffs of the guide."""
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "diff":
            run("git", "apply", "-", input=text, cwd=copy)
            continue
        name = NAME.match(text)
        assert name, text
        file = copy / name[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text[name.end() :])


def test_the_notes_app_of_the_guide_works_by_page_and_by_api(site):
    member(site, "alice")
    alice = str(get_tokens("alice", site.client())["access"])

    def notes(token="", **data):
        return call("notes/", data or None, client=site.client(), token=token)

    assert site.client().get("/notes/").location == "/accounts/login/?next=/notes/"
    assert notes().status == 401
    assert notes(alice, text="buy milk").status == 201
    assert notes(alice, test="buy milk").fields == ["text", "test"]
    assert notes(alice)["results"][0]["text"] == "buy milk"
    browser = site.client()
    sign_in(browser, "alice")
    assert "buy milk" in browser.get("/notes/").text
    assert browser.post("/notes/", {"text": "and bread"}).status == 302
    assert "and bread" in browser.get("/notes/").text
    assert 'name="notes"' in browser.get("/accounts/keys/new/").text

    token_request = {"name": "reader", "scope": "notes:read"}
    key = call("keys/", token_request, client=site.client(), token=alice)["key"]

    assert notes(key).status == 200
    assert notes(key, text="no").status == 403
    assert call("me/", client=site.client(), token=key).status == 403
    assert site.client().get("/api/v1/docs/").status == 200
    described = call("schema/", client=site.client())
    # The view's methods have no docstrings.
    assert described["paths"]["/api/v1/notes/"]["get"]["summary"] == "Notes list"


@pytest.mark.proof
def test_the_rules_of_the_site_ask_nothing_of_another_app(site, copy):
    """It has English texts only, and calls without descriptions."""
    models = copy / "notes/models.py"
    models.write_text(models.read_text().replace(IMPORT, ""))
    programs = (
        ["ruff", "format", "--quiet", "notes"],
        ["ruff", "check", "--quiet", "notes"],
        ["authsite.docs"],
        ["pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist", *RULES],
    )
    for words in programs:
        run(sys.executable, "-m", *words, cwd=copy, env=os.environ | clean(site.data_dir))

"""The guide ``docs/your-app.md``, followed step by step in a copy of the project."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import site as running
from tests.support.api import Answer, call, get_tokens
from tests.support.site import ROOT, Site
from tests.support.steps import member, sign_in

PAGE = ROOT / "docs" / "your-app.md"
FOLDERS = ("accounts", "authsite", "templates", "static", "locale")
BLOCK = re.compile(r"```(python|html|diff)\n(.*?)```", re.DOTALL)
NAME = re.compile(r"(?:# |<!-- )(\S+)(?: -->)?\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running copy of the project with the changes of the guide."""
    site = Site(migrate=False, LIMITS_SCALE="100")
    site.make_database()
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "manage.py", tmp_path)
    follow(tmp_path)
    monkeypatch.setattr(running, "ROOT", tmp_path)
    site.manage("makemigrations", "notes")
    site.manage("migrate", "--verbosity", "0")
    with site:
        yield site


def follow(copy: Path) -> None:
    """Write the files and apply the diffs of the guide."""
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "diff":
            subprocess.run(
                ["git", "apply", "-"],  # noqa: S607 found on PATH
                input=text,
                text=True,
                cwd=copy,
                check=True,
            )
            continue
        name = NAME.match(text)
        assert name, text
        file = copy / name[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text[name.end() :])


def test_the_notes_app_of_the_guide_works_by_page_and_by_api(site: Site) -> None:
    member(site, "alice")
    alice = str(get_tokens("alice", site.client())["access"])

    def notes(token: str = "", **data: str) -> Answer:
        return call("notes/", data or None, client=site.client(), token=token)

    assert site.client().get("/notes/").location == "/accounts/login/?next=/notes/"
    assert notes().status == 401
    assert notes(alice, text="buy milk").status == 201
    assert notes(alice)["results"][0]["text"] == "buy milk"
    browser = site.client()
    sign_in(browser, "alice")
    assert "buy milk" in browser.get("/notes/").text
    assert browser.post("/notes/", {"text": "and bread"}).status == 302
    assert "and bread" in browser.get("/notes/").text

    token_request = {"name": "reader", "scope": "notes:read"}
    key = call("keys/", token_request, client=site.client(), token=alice)["key"]

    assert notes(key).status == 200
    assert notes(key, text="no").status == 403
    assert call("me/", client=site.client(), token=key).status == 403
    described = call("schema/", client=site.client())
    # The view's methods have no docstrings.
    assert described["paths"]["/api/v1/notes/"]["get"]["summary"] == "Notes list"

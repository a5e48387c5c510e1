"""``docs/your-app.md``, followed step by step in a copy of the project."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import site as running
from tests.support.site import ROOT, Site
from tests.support.steps import PASSWORD

PAGE = ROOT / "docs" / "your-app.md"
FOLDERS = ("accounts", "authsite", "templates", "static", "locale")
BLOCK = re.compile(r"```(python|html|diff)\n(.*?)```", re.DOTALL)
NAME = re.compile(r"(?:# |<!-- )(\S+)(?: -->)?\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The project with what the page adds to it."""
    copy = tmp_path_factory.mktemp("project")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder)
    shutil.copy(ROOT / "manage.py", copy)
    follow(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "ROOT", copy)
        site = Site(migrate=False, LIMITS_SCALE="100")
        site.manage("makemigrations", "notes")
        site.manage("migrate", "--verbosity", "0")
        with site:
            yield site


def follow(copy: Path) -> None:
    """Write the files and make the changes of the page."""
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


def call(site: Site, method: str, path: str, body: Any = None, *, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    sent = json.dumps(body).encode() if body is not None else None
    return site.client().request(method, f"/api/v1/{path}", body=sent, headers=headers)


@pytest.fixture(scope="module")
def alice(site: Site) -> str:
    """An access token."""
    email = "alice@example.org"
    person = {"username": "alice", "email": email, "password": PASSWORD}
    assert call(site, "POST", "users/", person).status == 201
    body = site.wait_for_mail(to=email).get_body(preferencelist=("plain",))
    assert body
    code = re.search(r"^[A-Z2-9]{8}\s*$", body.get_content(), re.MULTILINE)
    assert code
    assert call(site, "POST", "email/verify/", {"email": email, "code": code[0]}).status == 200
    answer = call(site, "POST", "token/", {"username": "alice", "password": PASSWORD})
    return str(answer.json()["access"])


def test_the_page_and_the_call_are_closed_to_strangers(site: Site) -> None:
    assert site.client().get("/notes/").location == "/accounts/login/?next=/notes/"
    assert call(site, "GET", "notes/").status == 401


def test_a_note_that_a_program_keeps_is_on_the_page_of_the_person(site: Site, alice: str) -> None:
    assert call(site, "POST", "notes/", {"text": "buy milk"}, token=alice).status == 201
    assert call(site, "GET", "notes/", token=alice).json()["results"][0]["text"] == "buy milk"

    browser = site.client()
    browser.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert "buy milk" in browser.get("/notes/").text
    assert browser.post("/notes/", {"text": "and bread"}).status == 302
    assert "and bread" in browser.get("/notes/").text


def test_the_call_asks_for_its_own_scope(site: Site, alice: str) -> None:
    key = {"name": "reader", "scope": "notes:read"}
    text = call(site, "POST", "keys/", key, token=alice).json()["key"]

    assert call(site, "GET", "notes/", token=text).status == 200
    assert call(site, "POST", "notes/", {"text": "no"}, token=text).status == 403
    assert call(site, "GET", "me/", token=text).status == 403

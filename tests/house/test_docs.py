"""Docs that the code knows are generated; names in hand-written ones exist."""

import re
from pathlib import Path

from authsite import docs

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs/settings.md").read_text() == docs.settings_page()


def test_the_events_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs/events.md").read_text() == docs.events_page()


def test_every_path_in_the_docs_exists() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for path in re.findall(
            r"`((?:accounts|authsite|tests|templates|static)/[\w./-]+)`", page.read_text()
        ):
            assert (ROOT / path).exists() or list(ROOT.glob(path)), f"{page.name}: {path}"


def test_every_test_in_the_threats_page_exists() -> None:
    rows = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/threats.md").read_text())
    assert rows
    for path, name in rows:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_every_attack_test_is_in_the_threats_page() -> None:
    page = (ROOT / "docs/threats.md").read_text()
    for path in (ROOT / "tests/attacks").glob("test_*.py"):
        assert f"tests/attacks/{path.name}" in page, path.name

"""Pages of `docs/` that are generated are current, and names in the other pages exist."""

import re
from pathlib import Path

from authsite import docs
from tests.support import conformance

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_pages_are_current():
    assert (ROOT / "docs/settings.md").read_text() == docs.settings_page()
    assert (ROOT / "docs/events.md").read_text() == docs.events_page()
    assert (ROOT / "docs/data.md").read_text() == docs.data_page()
    assert (ROOT / "docs/api-acts.md").read_text() == docs.api_acts_page()
    assert conformance.PAGE.read_text() == conformance.page(), "each module has a test"


def test_the_generated_table_of_limits_is_current():
    page = (ROOT / "docs/operating.md").read_text()

    assert docs.limits_table() + "\n" in page
    assert "|  |" not in docs.limits_table(), "each limit has a description"


def test_every_path_in_the_docs_exists():
    pattern = re.compile(r"`((?:accounts|authsite|tests|templates|static)/[\w./-]+)`")
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for path in pattern.findall(page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_name_that_the_docs_find_in_a_file_is_there():
    named = re.compile(
        r"((?:`[\w.]+`(?:, | and )?)+) in `((?:accounts|authsite|tests)/[\w/]+\.py)`"
    )
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for names, path in named.findall(page.read_text()):
            words = set(re.findall(r"\w+", (ROOT / path).read_text()))
            missing = set(re.findall(r"\w+", names)) - words - {"and"}
            assert not missing, f"{page.name}: {missing} in {path}"


def test_every_test_in_the_tables_of_threats_and_faults_exists_and_every_attack_is_in_it():
    page = (ROOT / "docs/threats.md").read_text()
    monitoring = (ROOT / "docs/operating.md").read_text()
    rows = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page + monitoring)
    assert rows
    for path, name in rows:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name
    attacks = {f"tests/attacks/{path.name}" for path in (ROOT / "tests/attacks").glob("test_*.py")}
    assert {path for path in attacks if path not in page} == set()

"""Pages of `docs/` that are generated are current, and names in the other pages exist."""

import re
from pathlib import Path

from authsite import docs
from tests.support import conformance, threats
from tests.support.standards import functions_with

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


def test_every_test_in_the_table_of_faults_exists():
    rows = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/operating.md").read_text())
    assert rows
    for path, name in rows:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_the_page_of_threats_is_current_and_short_and_has_each_attack():
    assert threats.PAGE.read_text() == threats.page(), "python -m tests.support.threats"
    assert threats.PAGE.stat().st_size <= 60_000

    tests = [test.name for _, test in functions_with("def test_")]
    named = {name: path for _, _, name, path in threats.threats()}
    assert [name for name in named if tests.count(name) > 1] == [], "no other test has the name"
    attacks = {path.relative_to(ROOT) for path in (ROOT / "tests/attacks").glob("test_*.py")}
    assert attacks <= set(named.values())

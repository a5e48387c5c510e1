"""Which tests prove which requirements of a standard, and the page that says so.

A test is marked with the ids of the requirements that it proves: ``@proves("V6.5.1")``. What no
test can prove has an answer in ``tests/standards/answers.toml``.
"""

import ast
import csv
import re
import tomllib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests/standards"
KINDS = ("design", "document", "operator", "not applicable", "not met")
proves = pytest.mark.proves

# By the name of the file with the requirements: the title and the first sentence of the page.
STANDARDS = {
    "asvs": (
        "OWASP ASVS 5.0",
        "How this site answers the [OWASP Application Security Verification Standard 5.0]"
        "(https://owasp.org/www-project-application-security-verification-standard/): all "
        "requirements of levels 1 and 2 that apply to it, and those of level 3.",
    ),
    "nist-63b": (
        "NIST SP 800-63B-4",
        "How this site answers [NIST SP 800-63B-4](https://pages.nist.gov/800-63-4/sp800-63b.html) "
        "at the authenticator assurance levels 1 and 2. The second one needs `STRICT=on`.",
    ),
    "rfc9700": (
        "RFC 9700",
        "How this site, as an OpenID Provider and as a client of others, answers "
        "[RFC 9700](https://www.rfc-editor.org/rfc/rfc9700), Best Current Practice for OAuth 2.0 "
        "Security.",
    ),
    "wcag22": (
        "Accessibility: WCAG 2.2",
        "The conformance of the pages with [WCAG 2.2](https://www.w3.org/TR/WCAG22/), levels A and "
        "AA, criterion by criterion, as a VPAT 2.5 asks. What has tests or a *design* is "
        "*supported*. axe finds nothing on any page; every page is read in forced colours, with "
        "text of 200 %, on a screen of 320 pixels, and from right to left.",
    ),
}
EXPLANATION = """\
A requirement is proved by tests, or has a reason: it is met by *design*, by a *document*, or by the
*operator*; it is *not applicable*; or it is **not met**. The tests are marked with the ids, and
this page is made from the marks.
"""


def requirements(standard: str) -> list[dict[str, str]]:
    """Return the rows of a standard: ``id``, ``level``, ``section`` and ``text``."""
    with (FOLDER / f"{standard}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def answers() -> dict[str, dict[str, str]]:
    """Return the ``kind`` and the ``text`` of each answer, by the id of the requirement."""
    return tomllib.loads((FOLDER / "answers.toml").read_text())


def proofs() -> dict[str, list[tuple[Path, str]]]:
    """Return the tests that are marked, as files and names, by the id of the requirement."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for path, test in functions_with("@proves("):
        for mark in test.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "proves":
                for requirement in map(ast.literal_eval, mark.args):
                    found.setdefault(requirement, []).append((path, test.name))
    return found


def functions_with(sign: str) -> Iterator[tuple[Path, ast.FunctionDef]]:
    """Yield the functions of the modules of tests that contain ``sign``, each with its path."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if sign in (text := path.read_text()):
            for part in ast.parse(text).body:
                if isinstance(part, ast.FunctionDef):
                    yield path.relative_to(ROOT), part


def page(standard: str) -> str:
    """Return the text of ``docs/<standard>.md``."""
    proved, answered, (title, sentence) = proofs(), answers(), STANDARDS[standard]
    parts = [f"# {title}\n\n{sentence}\n{EXPLANATION}"]
    # The text of ASVS has a licence of its own, so that its page has only the ids.
    says = standard != "asvs"
    for section, rows in groupby(requirements(standard), key=lambda row: row["section"]):
        parts.append(f"\n## {section}\n\n| | level | {'| ' * says}|\n{'| --- ' * (3 + says)}|\n")
        for row in rows:
            tests = [f"[{words(name)}](../{path})" for path, name in proved.get(row["id"], [])]
            cells = [row["id"], row["level"], *[row["text"]] * says]
            cells.append("; ".join(tests) or _answer(**answered[row["id"]]))
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def words(name: str) -> str:
    """Return the name of a test as a sentence."""
    return re.sub(r"^test_(\d+_\d+_)?", "", name).replace("_", " ")


def _answer(kind: str, text: str) -> str:
    return f"{'**not met**' if kind == 'not met' else f'*{kind}*'}: {text}"


if __name__ == "__main__":
    for name in STANDARDS:
        (ROOT / f"docs/{name}.md").write_text(page(name))

"""Which test withstands which threat, and the page that says so: ``docs/threats.md``.

A test names the attacker in the first line of its docstring: ``Withstands a guesser.``, or
``Withstands a flood: a huge password keeps the server busy.`` if its name does not say the threat.
``tests/standards/threats.toml`` has the attackers and the personas. ``python -m
tests.support.threats`` writes the page.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.support.standards import FOLDER, ROOT, functions_with, words

PAGE = ROOT / "docs/threats.md"
TABLE = tomllib.loads((FOLDER / "threats.toml").read_text())


def threats() -> Iterator[tuple[str, str, str, Path]]:
    """Yield the attacker, the threat (or an empty text), the name and the file of each test."""
    for path, test in functions_with('"""Withstands '):
        line = (ast.get_docstring(test) or "").partition("\n")[0]
        if line.startswith("Withstands "):
            who, _, threat = line.removeprefix("Withstands ").removesuffix(".").partition(": ")
            yield who, threat, test.name, path


def page() -> str:
    """Return the text of ``docs/threats.md``."""
    rows: dict[str, list[str]] = {attacker: [] for attacker in TABLE["attackers"]}
    for attacker, threat, name, _ in threats():
        rows[attacker].append(f"- {threat}: {words(name)}\n" if threat else f"- {words(name)}\n")
    parts = [TABLE["introduction"]]
    for attacker, text in TABLE["attackers"].items():
        parts += [f"\n## {attacker.capitalize()}\n\n{text}\n\n", *rows[attacker]]
    parts.append(TABLE["personas"])
    parts += [f"| {name} | {' | '.join(row)} |\n" for name, row in TABLE["persona"].items()]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())

"""Measure the size of the tree. ``python -m tests.support.size`` prints the figures.

A line of code is a line that is not blank, not a comment and not part of a docstring. Migrations
are not counted, because Django writes them.
"""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lines_of_code(text: str) -> int:
    """Return the number of lines of code in a Python module."""
    without = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node, clean=False) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in without
        for number, line in enumerate(text.splitlines(), 1)
    )


def sizes(*folders: str) -> dict[Path, int]:
    """Return the lines of code of each Python file in the ``folders``, without migrations."""
    return {
        path.relative_to(ROOT): lines_of_code(path.read_text())
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    }


def packages(code: dict[Path, int]) -> Counter[Path]:
    """Return the lines of code of each folder that directly contains Python files."""
    result: Counter[Path] = Counter()
    for path, lines in code.items():
        result[path.parent] += lines
    return result


def main() -> None:
    """Print the lines and files of the site, of its packages, and of its tests."""
    code, tests = sizes("accounts", "authsite"), sizes("tests")
    total, tested = sum(code.values()), sum(tests.values())
    print(f"code {total} lines, {len(code)} files; tests {tested} lines, {tested / total:.2f}")
    for package, lines in packages(code).most_common():
        print(f"{lines:6} {package}")


if __name__ == "__main__":
    main()

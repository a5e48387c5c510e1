"""What holds for the code as a whole."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    path
    for folder in ("accounts", "authsite")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)
SOURCE_OF_RANDOMNESS = ROOT / "accounts/kernel/secrets.py"
RANDOM_MODULES = {"random", "secrets", "numpy.random"}
RANDOM_NAMES = {"urandom", "getrandbits", "uuid1", "uuid4", "get_random_string", "generate_key"}
LONGEST_FILE = 300
LONGEST_FUNCTION = 40


def imports(tree: ast.AST) -> set[str]:
    """Every module that is imported, and every name that is imported or used of one."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_2_1_there_is_one_source_of_randomness(path: Path) -> None:
    tree = ast.parse(path.read_text())
    own = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "accounts.kernel"
        for alias in node.names
    }
    used = imports(tree) & (RANDOM_MODULES | RANDOM_NAMES)

    assert path == SOURCE_OF_RANDOMNESS or used - own == set()


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]

    assert text.count("\n") <= LONGEST_FILE
    for function in functions:
        assert (function.end_lineno or 0) - function.lineno < LONGEST_FUNCTION, function.name


def test_every_room_states_its_promise() -> None:
    for room in (ROOT / "accounts").iterdir():
        if room.is_dir() and room.name not in {"migrations", "management", "__pycache__"}:
            promise = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
            assert re.fullmatch(r"[A-Z][\w -]+\. .+", promise, re.DOTALL) or room.name == "kernel"

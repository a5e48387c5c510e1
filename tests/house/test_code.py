"""Rules for the code as a whole."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

from accounts.throttle import limits
from tests.support.standards import proves

ROOT = Path(__file__).resolve().parents[2]
CODE = {
    path: path.read_text()
    for folder in ("accounts", "authsite")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
}
SOURCE_OF_RANDOMNESS = ROOT / "accounts/common/secrets.py"
RANDOM = {"random", "secrets", "numpy.random", "urandom", "getrandbits", "uuid1", "uuid4"}
RANDOM |= {"get_random_string", "generate_key"}
WITHOUT_REASON = re.compile(r"# (noqa(: \w+)?|type: ignore(\[[\w-]+\])?)$", re.MULTILINE)
LONGEST_FILE = 600
LONGEST_FUNCTION = 40
MOST_LIMITS = 40


def names(tree):
    """Return every module that is imported and every name that is imported or used as a member.

    Names from `accounts.common` are left out: its `secrets` is the source of randomness.
    """
    found: set[str] = set()
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {alias.name for alias in node.names}
            found |= {node.module or ""} | imported
            own |= imported if node.module == "accounts.common" else set()
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found - own


@proves("V6.5.3", "V6.7.2", "V7.2.3", "V11.1.3", "V11.5.1", "V11.5.2", "63B-5.1")
def test_2_1_there_is_one_source_of_randomness():
    users = {path for path, text in CODE.items() if names(ast.parse(text)) & RANDOM}

    assert users == {SOURCE_OF_RANDOMNESS}


def test_files_and_functions_are_short():
    assert [path for path, text in CODE.items() if text.count("\n") > LONGEST_FILE] == []
    assert [
        f"{path}: {node.name}"
        for path, text in CODE.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ] == []


def test_each_warning_that_is_switched_off_has_its_reason_beside_it():
    files = [*CODE, *(ROOT / "tests").rglob("*.py")]
    assert [file for file in files if WITHOUT_REASON.search(file.read_text())] == []


def test_helpers_of_tests_are_in_their_own_package():
    """No test module imports another one, except the races that one file runs again as a proof."""
    files = set((ROOT / "tests").rglob("*.py")) - {ROOT / "tests/attacks/test_fifty_rounds.py"}
    imported = {
        (str(file.relative_to(ROOT)), node.module)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
    }
    programs = ("tests.support", "tests.bench", "tests.sabotage", "tests.proof", "tests.release")
    assert [pair for pair in sorted(imported) if not str(pair[1]).startswith(programs)] == []


def test_there_are_few_limits_and_each_has_a_name_of_its_own():
    names = [limit.name for limit in vars(limits).values() if isinstance(limit, limits.Limit)]
    assert len(names) == len(set(names)) <= MOST_LIMITS


def test_no_module_imports_itself_through_others():
    """Imports in functions, and those for the type checker, count as well."""
    graph = grimp.build_graph("accounts", "authsite", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}

    TopologicalSorter(imports).prepare()  # raises CycleError


def calls(tree):
    return {node for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_a_text_that_is_made_at_import_is_lazy_or_it_would_be_english_for_everybody():
    found = []
    for path, text in CODE.items():
        tree = ast.parse(text)
        eager = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
            for alias in node.names
            if alias.name in {"gettext", "ngettext"}
        }
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Lambda)]
        at_import = calls(tree).difference(*map(calls, functions))
        found += [(path, ast.unparse(c)) for c in at_import if ast.unparse(c.func) in eager]

    assert found == []

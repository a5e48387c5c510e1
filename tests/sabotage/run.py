"""Prove that each defence is tested: without it, the test that it names must fail.

``defences.toml`` has a table for each defence:

    [code_not_spent]
    test = "tests/attacks/test_login.py::test_a_code_works_once"
    find = 'Code.objects.filter(pk=code.pk, used=False)'
    put = 'Code.objects.filter(pk=code.pk)'

``find`` is a text that occurs exactly once in all files of the site, so that functions and files
can be moved. It is replaced by ``put``. A defence in several places has ``edits``, a list of pairs
of ``find`` and ``put``. A defence is proved if its test passes in an unchanged copy of the checkout
and fails, by a failed assertion, in a copy with the edits.

    python tests/sabotage/run.py [NAME ...]

runs all defences, or those with a NAME in their name, two at a time.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = ("accounts", "authsite", "deploy", "static", "templates")
TEST_SECONDS = 300
AT_ONCE = 2
# Only these plugins are loaded: others would slow each start by a second.
PLUGINS = ("pytest_django.plugin",)


@dataclass(frozen=True)
class Defence:
    """A defence: the edits that remove it and the test that must fail without it."""

    name: str
    test: str
    edits: tuple[tuple[str, str], ...]


class DoesNotApply(Exception):
    """The text to find does not occur exactly once, or the edited file is not valid Python."""


def main(names: list[str]) -> int:
    """Check the defences, print a line for each and return the exit code."""
    chosen = [d for d in defences() if not names or any(name in d.name for name in names)]
    with tempfile.TemporaryDirectory(prefix="authsite-sabotage-") as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        trees = [Tree(Path(folder) / str(n), shared) for n in range(AT_ONCE)]
        idle: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for tree in trees:
            idle.put(tree)

        def verdict(defence: Defence) -> str:
            if (before := untouched.get(defence.test)) != "passed":
                return f"{before or 'was not run'} while the defence stands: {defence.test}"
            tree = idle.get()
            try:
                return tree.judge(defence)
            finally:
                idle.put(tree)

        failed = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = pool.map(Tree.outcomes, trees, shares({d.test for d in chosen}))
            untouched = {test: outcome for part in parts for test, outcome in part.items()}
            for defence, problem in zip(chosen, pool.map(verdict, chosen), strict=True):
                failed += bool(problem)
                print("FAIL" if problem else "ok  ", defence.name, problem, flush=True)
        for tree in trees:
            tree.close()
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


def defences() -> list[Defence]:
    """Return all defences, in the order of the file."""
    tables = tomllib.loads((Path(__file__).parent / "defences.toml").read_text(encoding="utf-8"))
    return [
        Defence(
            name,
            table["test"],
            tuple((find, put) for find, put in table.get("edits", []))
            or ((table["find"], table["put"]),),
        )
        for name, table in tables.items()
    ]


def shares(tests: set[str]) -> list[set[str]]:
    """Divide tests among the trees. The tests of a file stay together, as they share fixtures."""
    files = sorted({test.partition("::")[0] for test in tests})
    return [
        {test for test in tests if test.partition("::")[0] in files[n::AT_ONCE]}
        for n in range(AT_ONCE)
    ]


def edited(defence: Defence, files: Mapping[str, str]) -> dict[str, str]:
    """Return the changed texts of the files that a defence's edits change, by path.

    Raises:
        DoesNotApply: a ``find`` does not occur exactly once, or the result does not compile.
    """
    changed: dict[str, str] = {}
    for find, put in defence.edits:
        there = [path for path, text in files.items() if find in text]
        if len(there) != 1 or files[there[0]].count(find) != 1:
            raise DoesNotApply(f"{there or 'nowhere'}: {find!r}")
        path = there[0]
        changed[path] = changed.get(path, files[path]).replace(find, put)
        if path.endswith(".py"):
            try:
                compile(changed[path], path, "exec")
            except SyntaxError as error:
                raise DoesNotApply(f"{path}: {error}") from error
    return changed


def site_files(tree: Path) -> dict[str, str]:
    """Return the texts of the site's files in a tree, by path."""
    paths = [p for folder in SITE for p in sorted((tree / folder).rglob("*")) if p.is_file()]
    binary = {".mo", ".gz", ".png", ".pyc"}
    return {
        str(path.relative_to(tree)): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.suffix not in binary and path.stat().st_size < 1_000_000
    }


def copy_tree(target: Path) -> None:
    """Copy the files of the checkout, including untracked ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        cwd=ROOT,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file():  # a deleted file is still listed until the next commit
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


class Tree:
    """A copy of the checkout at ``path``, and a process that runs tests in it.

    ``shared``: the folder in which the first run leaves migrated databases for the later ones.
    """

    def __init__(self, path: Path, shared: Path) -> None:
        self.path = path
        copy_tree(path)
        self.files = site_files(path)
        # A file whose text has changed is compiled again, whatever its time and size.
        compile_all = "-m compileall -q --invalidation-mode checked-hash accounts authsite tests"
        subprocess.run([sys.executable, *compile_all.split()], check=True, cwd=path)
        self._worker = subprocess.Popen(
            [sys.executable, "tests/sabotage/worker.py"],
            cwd=path,
            env=environment() | {"TESTS_SHARED_DIR": str(shared)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._worker.communicate()

    def judge(self, defence: Defence) -> str:
        """Return what is wrong with a defence, or an empty string if its test fails without it."""
        try:
            changed = edited(defence, self.files)
        except DoesNotApply as problem:
            return f"does not apply: {problem}"
        try:
            self._write(changed)
            outcome = self.outcomes({defence.test}).get(defence.test, "was not run")
        finally:
            self._write({path: self.files[path] for path in changed})
        return "" if outcome == "failed" else f"{outcome}: {defence.test}"

    def outcomes(self, tests: set[str]) -> dict[str, str]:
        """Run tests and return an outcome for each test that ran."""
        if not tests:  # pytest would run all
            return {}
        args = ["-q", "--tb=no", "-p", "no:cacheprovider", "-m", "", *sorted(tests)]
        args += [word for plugin in PLUGINS for word in ("-p", plugin)]
        request = {"args": args, "seconds": TEST_SECONDS * (1 + len(tests) // 10)}
        assert self._worker.stdin
        assert self._worker.stdout
        self._worker.stdin.write(json.dumps(request) + "\n")
        self._worker.stdin.flush()
        found = json.loads(self._worker.stdout.readline())
        return dict.fromkeys(tests, "hangs") if found is None else dict(found)

    def _write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.path / path).write_text(text, encoding="utf-8")


def environment() -> dict[str, str]:
    """Return the environment without variables that change the behaviour of git or pytest."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env.pop("PYTEST_ADDOPTS", None)
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return env | {"RACE_ROUNDS": "10"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

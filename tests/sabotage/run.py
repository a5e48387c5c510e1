"""Prove that each defence is tested: take it out, and its test must fail.

Each ``*.patch`` beside this file removes one defence. It opens with one or more lines

    # test: tests/signin/test_login.py::test_unknown_user_and_wrong_password_answer_alike

and goes on as ``git diff`` wrote it. A patch passes when each named test, which passes in an
untouched copy of the tree, fails in a copy with the patch applied: by a failed assertion,
not because nothing could be collected or set up. Patches that no longer apply, name no test, or
leave a test standing are reported as failed.

    python tests/sabotage/run.py [NAME ...]

runs all, or those whose file name contains a NAME, two at a time.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TEST_LINE = "# test:"
TEST_SECONDS = 600
AT_ONCE = 2


@dataclass(frozen=True)
class Patch:
    """A defence taken out, and the tests that must notice."""

    path: Path
    tests: tuple[str, ...]


def main(names: list[str]) -> int:
    """Run the patches, print a table, and return the exit code."""
    patches = [
        read(path)
        for path in sorted(HERE.glob("*.patch"))
        if not names or any(name in path.stem for name in names)
    ]
    with tempfile.TemporaryDirectory(prefix="authsite-sabotage-") as folder:
        base = Path(folder) / "untouched"
        copy_tree(base)
        tests = sorted({test for patch in patches for test in patch.tests})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            untouched = dict(zip(tests, pool.map(lambda test: run(base, test), tests), strict=True))
            verdicts = list(pool.map(lambda patch: judge(patch, base, untouched), patches))
    for patch, verdict in zip(patches, verdicts, strict=True):
        print(f"{'FAIL' if verdict else 'ok':4}  {patch.path.stem}", *verdict, sep="\n      ")
    failed = sum(bool(verdict) for verdict in verdicts)
    print(f"{len(patches) - failed} passed, {failed} failed")
    return 1 if failed or not patches else 0


def read(path: Path) -> Patch:
    """A patch and the tests that its first lines name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    named = [line.removeprefix(TEST_LINE) for line in lines if line.startswith(TEST_LINE)]
    return Patch(path, tuple(test.strip() for test in named))


def copy_tree(target: Path) -> None:
    """Copy what git tracks, and what it would, as it stands in the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        cwd=ROOT,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file():  # else deleted and not yet committed
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def judge(patch: Patch, base: Path, untouched: dict[str, str]) -> list[str]:
    """What is wrong with a patch: nothing, if each of its tests fails because of it."""
    if not patch.tests:
        return [f"no line {TEST_LINE!r}"]
    if broken := [test for test in patch.tests if untouched[test] != "passes"]:
        return [f"{untouched[test]} without the patch: {test}" for test in broken]
    tree = base.with_name(patch.path.stem)
    shutil.copytree(base, tree)
    try:
        applied = subprocess.run(
            ["git", "apply", str(patch.path)],
            capture_output=True,
            check=False,
            cwd=tree,
            env=environment() | {"GIT_CEILING_DIRECTORIES": str(tree.parent)},
            text=True,
        )
        if applied.returncode:
            return ["does not apply", *applied.stderr.splitlines()]
        outcomes = {test: run(tree, test) for test in patch.tests}
    finally:
        shutil.rmtree(tree)
    return [f"{outcome}: {test}" for test, outcome in outcomes.items() if outcome != "fails"]


def run(tree: Path, test: str) -> str:
    """What one test does in this tree: ``passes``, ``fails``, or a word for neither."""
    with tempfile.TemporaryDirectory(prefix="authsite-sabotage-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        options = ["-m", "", f"--junit-xml={report}", test]  # -m "": proof tests too
        try:
            done = subprocess.run(
                command + options,
                capture_output=True,
                check=False,
                cwd=tree,
                env=environment(),
                stdin=subprocess.DEVNULL,
                timeout=TEST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return "hangs"
        suite = ET.parse(report).find("testsuite") if report.exists() else None  # noqa: S314 - ours
    counts = {} if suite is None else suite.attrib
    if done.returncode == 1 and counts.get("failures", "0") != "0":
        return "fails"
    if done.returncode == 0 and counts.get("skipped") == "0":
        return "passes"
    return f"neither passes nor fails (pytest's exit code {done.returncode})"


def environment() -> dict[str, str]:
    """This environment without what would point git or pytest elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept.pop("PYTEST_ADDOPTS", None)
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Prove that tests notice faults: change one thing in a function, and a test must fail.

    python -m tests.sabotage.mutants [--draw NUMBER] [--seed SEED] [PATTERN ...]

tries all mutants of the files of ``CORE``, or of those that match a pattern, two at a time;
``--draw`` tries that many of them, drawn by a seed. Only tests in this process are run: those that
execute the line, beginning with some that execute each other line of the function, then others
that execute its file, until one fails or ``SECONDS`` are used up. A mutant that survives is
printed: either a test is missing, or the fault makes no difference.

What each test executes, and each result, is kept in ``.cache/mutants``, so a run that was stopped
goes on where it was. A result is forgotten when its function or one of its tests changes.
"""

import argparse
import json
import queue
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from tests.sabotage.faults import Mutant, mutants_of
from tests.sabotage.forks import HANGS
from tests.sabotage.recorder import append, digest
from tests.sabotage.run import AT_ONCE, ROOT, environment, shares

# The decisions about who gets in, and what with.
CORE = (
    "accounts/calls/*.py",
    "accounts/codes/*.py",
    "accounts/emails/services.py",
    "accounts/oauth/*.py",
    "accounts/passwords/changes.py",
    "accounts/recovery/*.py",
    "accounts/sessions/*.py",
    "accounts/signin/*.py",
    "accounts/throttle/*.py",
    "accounts/tokens/*.py",
    "accounts/twofactor/*.py",
)
# What people see, and what staff configure.
NOT_CORE = (
    *("*/admin*.py", "*/*forms.py", "*/*pages.py", "*/*views.py", "*/mails.py", "*/urls.py"),
    *("*/management/*", "*/migrations/*", "*/settings_file.py"),
)
# Their tests are about something else, or start servers.
NO_TESTS = {"bench", "browser", "clients", "deploy", "faults", "house", "sabotage", "scanners"}
# Of processor time, for the tests of one mutant and for one test.
SECONDS = 30
LONGEST_TEST = 8
# More than this share of survivors fails the run. The aim is 0.1; a draw of 300 deviates by 0.035
# at most in 19 of 20 cases. Most survivors make no difference, or one that only tests with servers
# notice, such as a missing lock.
MOST_SURVIVORS = 0.135
KEPT = ROOT / ".cache/mutants"
PYTEST = ["-p", "pytest_django.plugin", "-p", "no:cacheprovider", "-q", "--tb=no"]
PYTEST += ["-m", "not server and not proof and not alone"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("patterns", nargs="*", default=CORE)
    parser.add_argument("--draw", type=int)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    mutants = [m for path in files(options.patterns) for m in mutants_of(path, text_of(path))]
    tests = Tests({mutant.path for mutant in mutants})
    untested = [m for m in mutants if not tests.of(m)]
    mutants = [m for m in mutants if tests.of(m)]
    if options.draw:
        print(f"{options.draw} of {len(mutants)} mutants, drawn with --seed {options.seed}")
        draw = random.Random(options.seed)  # noqa: S311 it draws a sample
        mutants = draw.sample(mutants, min(options.draw, len(mutants)))
    began = time.monotonic()
    counts = try_all(mutants, tests, Results())
    took = (time.monotonic() - began) / max(1, counts["tried"])
    print(f"{counts['killed']} killed, {counts['survived']} survived, {counts['other']} impossible")
    print(f"{counts['tried']} tried now, {took:.1f} s each; {len(untested)} execute in no test")
    return int(counts["survived"] > MOST_SURVIVORS * len(mutants))


def files(patterns: Iterable[str]) -> list[str]:
    """Return the paths of the core's files that match a pattern."""
    return [
        path
        for path in _paths("accounts")
        if any(fnmatch(path, pattern) for pattern in patterns)
        and not any(fnmatch(path, pattern) for pattern in NOT_CORE)
    ]


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


class Tests:
    """The tests in process, and which functions and lines each executes."""

    def __init__(self, paths: set[str]) -> None:
        self.seconds: dict[str, float] = {}
        # By function and by file, with a weight: the less, the more a test is about the file.
        self.executing: dict[str, set[tuple[float, str]]] = defaultdict(set)
        self.lines: dict[tuple[str, int], set[str]] = defaultdict(set)
        for test, (seconds, functions, lines) in recorded().items():
            self.seconds[test] = seconds
            if seconds <= LONGEST_TEST:
                by_file = Counter(function.partition(":")[0] for function in functions)
                for function in functions:
                    file = function.partition(":")[0]
                    weighted = (len(functions) / by_file[file] ** 2, test)
                    self.executing[function].add(weighted)
                    self.executing[file].add(weighted)
                for path in paths & lines.keys():
                    for number in lines[path]:
                        self.lines[path, number].add(test)

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests to run against a mutant, in their order."""
        first = text_of(mutant.path).encode()[: mutant.start - mutant.offset].count(b"\n") + 1
        last = first + mutant.source.count("\n")
        function = f"{mutant.path}:{mutant.function}"
        return self._chosen(mutant.path, function, mutant.line, first, last)

    @cache  # noqa: B019 one object for the whole run
    def _chosen(self, path: str, function: str, line: int, first: int, last: int) -> list[str]:
        at_line = self.lines.get((path, line), set())
        inside = self.executing.get(function, set())
        direct = {each for each in inside if each[1] in at_line} or inside
        # What is prepared once, such as a statement of SQL, executes in the first test only.
        others = self.executing[path] - direct if direct else set()
        lines = [self.lines.get((path, number), set()) for number in range(first, last + 1)]
        ordered = _of_each(lines, self._by_turns(direct)) + self._by_turns(others)
        chosen: list[str] = []
        seconds = 0.0
        for test in ordered:
            if seconds + self.seconds[test] <= SECONDS:
                seconds += self.seconds[test]
                chosen.append(test)
        return chosen

    def _by_turns(self, tests: set[tuple[float, str]]) -> list[str]:
        """Return tests by their weight, which grows with each test of the same file."""
        turns: Counter[str] = Counter()
        ordered = []
        for weight, test in sorted(tests):
            file = test.partition("::")[0]
            turns[file] += 1
            ordered.append((turns[file] * weight, test))
        return [test for _weight, test in sorted(ordered)]


def _of_each(groups: list[set[str]], ordered: list[str]) -> list[str]:
    """Return the tests by turns of the groups: of each the first, then of each the second.

    A test belongs to the smallest group that has it, so a line that few tests execute is tested.
    """
    queues: dict[int, list[str]] = defaultdict(list)
    for test in ordered:
        sizes = [(len(group), number) for number, group in enumerate(groups) if test in group]
        queues[min(sizes, default=(0, -1))[1]].append(test)
    turns = ((turn, test) for queue in queues.values() for turn, test in enumerate(queue))
    return [test for _turn, test in sorted(turns, key=lambda each: each[0])]


def test_files() -> list[str]:
    """Return the paths of the files whose tests are run."""
    return [path for path in _paths("tests") if "/test_" in path]


def _paths(folder: str) -> list[str]:
    paths = [str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in paths if folder != "tests" or path.split("/")[1] not in NO_TESTS]


def recorded() -> dict[str, tuple[float, list[str], dict[str, list[int]]]]:
    """Return the seconds of each test, and the functions and lines that it executes.

    Runs the tests of each file of which that is not known.
    """
    files = test_files()
    site = [*_paths("accounts"), *_paths("tests"), "tests/sabotage/recorder.py"]
    others = sorted(set(site) - set(files))
    store = KEPT / f"tests-{digest(*map(text_of, others))}.jsonl"
    for old in set(KEPT.glob("tests-*.jsonl")) - {store}:
        old.unlink()
    unknown = set(files) - read(store).keys()
    if unknown:
        print(f"Recording what the tests of {len(unknown)} files execute", flush=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda files: record(files, store), filter(None, shares(unknown))))
        for file in unknown - read(store).keys():
            append(store, Path(file), {})  # no tests in process
    return {test: found for tests in read(store).values() for test, found in tests.items()}


def read(store: Path) -> dict[str, dict[str, Any]]:
    """Return what the tests execute of each file that has not changed since.

    A file has several rows if tests of other files were run between its own.
    """
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in map(json.loads, store.read_text().splitlines() if store.exists() else []):
        if row["hash"] == digest(text_of(row["file"])):
            found[row["file"]] |= row["tests"]
    return found


def record(files: set[str], store: Path) -> None:
    """Run the tests of files and store what each test executes."""
    subprocess.run(
        [sys.executable, "-m", "pytest", *PYTEST, "-p", "tests.sabotage.recorder", *sorted(files)],
        check=False,
        cwd=ROOT,
        env=environment() | {"RECORDER_STORE": str(store)},
        stdout=subprocess.DEVNULL,
    )


class Results:
    """The results of mutants, kept in a file of which each line is one of them."""

    def __init__(self) -> None:
        self.file = KEPT / "results.jsonl"
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.kept = {row["key"]: row for row in map(json.loads, lines)}

    def find(self, mutant: Mutant, tests: list[str]) -> dict[str, Any] | None:
        """Return the result of a mutant unless a test on which it depends has changed."""
        row = self.kept.get(self._key(mutant))
        if row is None or row["tests"] != self._digest([row["by"]] if row["by"] else tests):
            return None
        return row

    def keep(self, mutant: Mutant, tests: list[str], by: str | None) -> None:
        row = {"key": self._key(mutant), "mutant": str(mutant), "by": by}
        row["tests"] = self._digest([by] if by else tests)
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _key(self, mutant: Mutant) -> str:
        where = f"{mutant.path} {mutant.offset}"
        return digest(where, mutant.source, mutant.before, mutant.after)

    def _digest(self, tests: list[str]) -> str:
        files = sorted({test.partition("::")[0] for test in tests} - {HANGS})
        return digest(*(text_of(file) for file in files if (ROOT / file).exists()), *sorted(tests))


class Worker:
    """A process that has loaded the site and all tests: see ``forks.py``."""

    def __init__(self, files: list[str]) -> None:
        command = [sys.executable, "tests/sabotage/forks.py", *PYTEST, *files]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, mutant: Mutant, tests: list[str], seconds: float) -> str | None:
        """Return the test that fails, or an empty string; None if the mutant cannot be tried."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            text = mutant.text(ROOT)
            compile(text, mutant.path, "exec")
        except SyntaxError:
            return None
        request = {
            "path": mutant.path,
            "text": text,
            "function": mutant.function,
            "tests": tests,
            "seconds": round(60 + 20 * seconds),
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return None if answer is None else str(answer)


def try_all(mutants: list[Mutant], tests: Tests, results: Results) -> Counter[str]:
    """Try mutants, print those that survive and return how many did what."""
    counts: Counter[str] = Counter()
    files = sorted({test.partition("::")[0] for m in mutants for test in tests.of(m)})
    workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for _ in range(AT_ONCE):
        workers.put(Worker(files))

    def result(mutant: Mutant) -> str | None:
        chosen = tests.of(mutant)
        if row := results.find(mutant, chosen):
            return row["by"]
        worker = workers.get()
        try:
            by = worker.ask(mutant, chosen, sum(tests.seconds[test] for test in chosen))
        finally:
            workers.put(worker)
        counts["tried"] += 1
        results.keep(mutant, chosen, by)
        return by

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, by in zip(mutants, pool.map(result, mutants), strict=True):
            counts["other" if by is None else "killed" if by else "survived"] += 1
            if by == "":
                print("survived", mutant, flush=True)
    return counts


if __name__ == "__main__":
    sys.exit(main())

"""Run tests against mutants in forks of a process that has loaded the site and its tests.

    python tests/sabotage/forks.py [ARGUMENT OF PYTEST ...]

Each line of standard input is a JSON object: a file of the site and its text with a fault, the
function that has the fault, tests, and the seconds after which they are killed. Each is answered
with a line: the test that failed, an empty string if all passed, or null if the fault cannot be
tried.

A fork replaces the code of the function wherever it is referenced, so nothing is imported again.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import IO, Any

import pytest

HANGS = "it hangs"
WARM_UP = "tests/sabotage/warm_up.py"
PR_SET_CHILD_SUBREAPER = 36


def kill_children() -> None:
    """Kill what the tests of a fork have started: it became children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while left := children.read_text().split():
        for pid in map(int, left):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Forks:
    """Answer each line of ``requests`` instead of running the collected tests."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self.requests, self.answers = requests, answers
        self.functions: dict[tuple[str, str], list[FunctionType]] = defaultdict(list)
        self.items: dict[str, Any] = {}
        self.failed = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from django.db import connection, connections

        self.items = {item.nodeid: item for item in session.items}
        # The fixtures of the session, among them the database, are set up once, for all forks.
        first = next(item for item in session.items if item.nodeid.startswith(WARM_UP))
        other = next(item for item in session.items if item.path.parent != first.path.parent)
        self._run(first, other)
        # A fork has no other thread, so whatever waits for one would wait for ever.
        assert not self.failed
        assert threading.active_count() == 1
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        connections.close_all()
        database = Path(connection.settings_dict["NAME"])
        content = database.read_bytes()
        gc.unfreeze()
        for function in gc.get_objects():
            if isinstance(function, FunctionType):
                code = function.__code__
                self.functions[code.co_filename, code.co_qualname].append(function)
        gc.freeze()
        for line in self.requests:
            for left in database.parent.glob(f"{database.name}-*"):
                left.unlink()
            database.write_bytes(content)
            print(json.dumps(self._answer(json.loads(line))), file=self.answers, flush=True)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid

    def _run(self, item: Any, following: Any) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _answer(self, request: dict[str, Any]) -> Any:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(request["seconds"])
            os.write(writing, json.dumps(self._first_failure(**request)).encode())
            os._exit(0)
        os.close(writing)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        kill_children()
        with os.fdopen(reading) as answer:
            if code == 0:
                return json.loads(answer.read())
        return HANGS if code == -signal.SIGALRM else None

    def _first_failure(
        self, path: str, text: str, function: str, tests: list[str], seconds: int
    ) -> str | None:
        if not self._replace(path, text, function):
            return None
        chosen = [self.items[test] for test in tests if test in self.items]
        for item, following in zip(chosen, [*chosen[1:], *chosen[-1:]], strict=True):
            self._run(item, following)
            if self.failed:
                break
        return self.failed

    def _replace(self, path: str, text: str, function: str) -> bool:
        """Give the functions of a file the code of the mutant. Return whether there were any."""
        file = str(Path(path).resolve())
        before, after = codes(Path(file).read_text(), file), codes(text, file)
        found = False
        for name in before.keys() & after.keys():
            if name.partition(".<locals>")[0] == function and len(before[name]) == len(after[name]):
                for old, new in zip(before[name], after[name], strict=True):
                    for each in self.functions[file, name]:
                        if each.__code__.co_firstlineno == old.co_firstlineno:
                            if len(old.co_freevars) != len(new.co_freevars):
                                return False
                            each.__code__ = new
                            found = True
        return found


def codes(text: str, file: str) -> dict[str, list[CodeType]]:
    """Return the code objects of a module by their qualified names, in the order of the text."""
    found: dict[str, list[CodeType]] = defaultdict(list)
    for code in inner(compile(text, file, "exec", dont_inherit=True)):
        found[code.co_qualname].append(code)
    return found


def inner(code: CodeType) -> Iterator[CodeType]:
    """Return the code objects in a code object, outer ones first."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from inner(constant)


def main() -> None:
    """Start pytest, silently, with the standard streams as channels of requests and answers."""
    sys.path.insert(0, str(Path.cwd()))
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3 if not os.environ.get("FORKS_DEBUG") else 2):
        os.dup2(nowhere, stream)
    os._exit(pytest.main([*sys.argv[1:], WARM_UP], plugins=[Forks(requests, answers)]))


if __name__ == "__main__":
    main()

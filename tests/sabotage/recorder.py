"""A pytest plugin that writes down which functions and lines each test in process executes."""

import hashlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

# Constant, as a test may change the working directory.
ROOT = Path.cwd()
SITE = str(ROOT / "accounts") + os.sep
MONITORING = sys.monitoring
TOOL = MONITORING.PROFILER_ID


class Recorder:
    """Append a line to ``store`` for each test file: what each test takes and executes.

    Seconds of processor time, which other work on the machine does not change.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.seen: set[str] = set()
        self.lines: dict[str, set[int]] = defaultdict(set)
        self.tests: dict[str, Any] = {}
        self.failed: set[str] = set()
        MONITORING.use_tool_id(TOOL, "mutants")
        MONITORING.register_callback(TOOL, MONITORING.events.PY_START, self._start)
        MONITORING.register_callback(TOOL, MONITORING.events.LINE, self._execute)
        MONITORING.set_events(TOOL, MONITORING.events.PY_START | MONITORING.events.LINE)

    def _start(self, code: CodeType, _offset: int) -> object:
        if code.co_filename.startswith(SITE):
            path = str(Path(code.co_filename).relative_to(ROOT))
            self.seen.add(f"{path}:{code.co_qualname.partition('.<locals>')[0]}")
        return MONITORING.DISABLE  # until the next test

    def _execute(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(SITE):
            self.lines[str(Path(code.co_filename).relative_to(ROOT))].add(line)
        return MONITORING.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        self.seen, self.lines = set(), defaultdict(set)
        MONITORING.restart_events()
        began = time.process_time()
        result = yield
        if item.nodeid not in self.failed:
            lines = {path: sorted(found) for path, found in self.lines.items()}
            self.tests[item.nodeid] = [time.process_time() - began, sorted(self.seen), lines]
        if nextitem is None or nextitem.path != item.path:
            append(self.store, item.path.relative_to(ROOT), self.tests)
            self.tests = {}
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.failed.add(report.nodeid)


def append(store: Path, file: Path, tests: dict[str, Any]) -> None:
    """Write what the tests of a file execute, with the hash of the file."""
    row = {"file": str(file), "hash": digest(file.read_text()), "tests": tests}
    with store.open("a") as lines:
        lines.write(json.dumps(row) + "\n")


def digest(*texts: str) -> str:
    """Return a hash of texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(Path(os.environ["RECORDER_STORE"])))

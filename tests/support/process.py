"""Run servers as subprocesses, each in a process group of its own."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

RUN_SECONDS = 300.0
START_SECONDS = 90.0
STOP_SECONDS = 30.0
LATER_SECONDS = 30.0


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on.

    It is outside the range of outgoing connections: one of them could otherwise take the port
    before a server starts or restarts.
    """
    while True:
        port = 11_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def slack() -> float:
    """Return how many times longer than on an idle machine something may take now."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def within(seconds: float, condition: Callable[[], object]) -> bool:
    """Return whether ``condition`` becomes true within a number of seconds, or later under load."""
    deadline = time.monotonic() + seconds * slack()
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(met)


def listening(port: int) -> bool:
    """Return whether something on the loopback interface accepts connections at ``port``."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(*words: str | Path, seconds: float = RUN_SECONDS, **options: Any) -> str:
    """Run a program and return its output; fail with what it has printed if the program fails."""
    done = subprocess.run(
        words,
        capture_output=True,
        check=False,
        stdin=None if "input" in options else subprocess.DEVNULL,
        text=True,
        timeout=seconds * slack(),
        **options,
    )
    assert done.returncode == 0, f"{words}:\n{done.stdout}{done.stderr}"
    return done.stdout


class Process:
    """A running program with a log; it leads its own process group.

    As a context manager, it kills the group at the end, unless all its processes have ended.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        owner: str | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                **run_as(owner),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until ``ready`` returns true; fail the test with the log if it takes too long."""
        is_over = within(START_SECONDS, lambda: not self.running or ready())
        if not (is_over and self.running):
            state = "silent" if self.running else f"exit code {self._popen.returncode}"
            self.kill()
            pytest.fail(f"{what} did not start ({state}):\n{self.log()}", pytrace=False)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Signal the server to stop and return its exit code; fail the test if it does not stop."""
        if self.running:
            self._popen.send_signal(sign)
            try:
                self._popen.wait(STOP_SECONDS * slack())
            except subprocess.TimeoutExpired:
                self.kill()
                pytest.fail(f"did not stop within {STOP_SECONDS} s:\n{self.log()}", pytrace=False)
        self.kill()
        return self._popen.returncode

    def wait(self) -> int:
        """Wait for a server that ends by itself, and return its exit code."""
        return self._popen.wait(STOP_SECONDS * slack())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend the server and its children: they accept connections but do not answer."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        pids = [self.pid, *map(int, children)]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the whole process group at once, as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


@contextmanager
def serving(command: Sequence[Any], log: Path, port: int, **options: Any) -> Iterator[Process]:
    """Run a server program that listens at ``port`` until the context ends."""
    process = Process(command, log, **options)
    try:
        process.wait_until(lambda: listening(port), str(command[0]))
        yield process
    finally:
        process.stop()


def run_as(owner: str | None) -> dict[str, Any]:
    """Return arguments for ``subprocess`` that run a program as the user and group ``owner``."""
    return {"user": owner, "group": owner, "extra_groups": []} if owner else {}

"""Servers as subprocesses: started, waited for, and stopped by their own process group."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 90.0
STOP_SECONDS = 30.0
LATER_SECONDS = 30.0


def free_port() -> int:
    """A port of the loopback that nothing listens on.

    Not of those that the system gives to outgoing connections: one of them might have it by the
    time that a server starts, or starts anew.
    """
    while True:
        port = 11_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def within(seconds: float, condition: Callable[[], object]) -> bool:
    """Whether it becomes true in that time."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(met)


def listening(port: int) -> bool:
    """Whether something on the loopback takes connections at ``port``."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """One server program with a log, the leader of its own process group."""

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

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Fail with the log unless ``ready`` becomes true in time."""
        is_over = within(START_SECONDS, lambda: not self.running or ready())
        if not (is_over and self.running):
            state = "silent" if self.running else f"exit code {self._popen.returncode}"
            self.kill()
            pytest.fail(f"{what} did not start ({state}):\n{self.log()}", pytrace=False)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop, and return its exit code; one that won't is a failure."""
        if self.running:
            self._popen.send_signal(sign)
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                pytest.fail(f"did not stop within {STOP_SECONDS} s:\n{self.log()}", pytrace=False)
        self.kill()
        return self._popen.returncode

    def wait(self) -> int:
        """The exit code of a server that ends by itself."""
        return self._popen.wait(STOP_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server and its children stand still: they take connections and say nothing."""
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
        """End the whole group at once, as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


def run_as(owner: str | None) -> dict[str, Any]:
    """The arguments of ``subprocess`` that run a program as ``owner`` and in no other's group."""
    return {"user": owner, "group": owner, "extra_groups": []} if owner else {}

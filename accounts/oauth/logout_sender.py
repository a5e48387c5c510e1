"""Sends logout notices in a process of its own.

A server process starts it when the first app with a back-channel logout URI is registered. TLS and
signatures occupy the Python interpreter; in the server process, they would delay sign-outs.

The process ends when its standard input ends. This happens when the server process ends, even if
that is killed. The process writes the numbers for the metrics of the server process to its standard
output, as lines of JSON.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from django.conf import settings
from django.db import connections

from accounts.common import logs, metrics
from accounts.common.background import AFTER_TROUBLE_SECONDS, Background
from accounts.oauth import logout
from accounts.oauth.logout import Sender

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
# How often the results of what is being sent are recorded.
SETTLE_SECONDS = 0.1
REPORT_SECONDS = 5.0


class Starter:
    """Starts the process that sends notices, in a thread of the server process.

    ``module``: the module that the process runs. It must run :class:`Program`.
    """

    def __init__(self, module: str) -> None:
        self._command = [sys.executable, "-m", module]
        self._process: subprocess.Popen[str] | None = None
        self._thread = Background("logout notices", self._work, wake=self._end)

    def start(self) -> None:
        """Start the thread, unless it is running.

        If the process of the sender is killed, another sender sends its notices after their leases
        have expired.
        """
        self._thread.start()

    def _work(self) -> float:
        if not logout.is_needed():
            return LOOK_EVERY_SECONDS
        connections.close_all()
        pipe = subprocess.PIPE
        with subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True) as process:
            self._process = process
            if self._thread.stopping.is_set():
                self._end()
            for line in process.stdout or ():
                measure(*json.loads(line))
        if process.returncode:
            log.error("The process that sends logout notices has ended: %d", process.returncode)
            return AFTER_TROUBLE_SECONDS
        return 0.0

    def _end(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()


def measure(count: int, age: float, outcomes: Mapping[str, int]) -> None:
    """Set the metrics: how many notices wait, the age of the oldest, and what became of others."""
    metrics.LOGOUT_NOTICES_WAITING.set(count)
    metrics.LOGOUT_NOTICES_OLDEST.set(age)
    for outcome, number in outcomes.items():
        metrics.LOGOUT_NOTICES.labels(outcome).inc(number)


class Program:
    """The program that sends notices. It ends when no app needs it, or standard input ends."""

    def __init__(self) -> None:
        self._loop = Background("logout notices", self._work, end=self._finish)
        self._sender = Sender(self._loop.stopping.is_set)
        self._report_at = time.monotonic()

    def run(self) -> None:
        """Run until the program ends."""
        # The import takes up to 0.3 s of the processor, for which the first notice must not wait.
        from accounts.common import http_client  # noqa: F401, PLC0415 only to load it

        logs.configure(settings.LOGGING)
        # The server process gets these signals, too. This process ends after the server process.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._end_with_input, daemon=True).start()
        log.info("This process sends logout notices")
        self._loop.run()

    def _end_with_input(self) -> None:
        # ``sys.stdin`` would hold a lock that the end of the interpreter waits for.
        os.read(0, 1)
        self._loop.stopping.set()

    def _work(self) -> float:
        is_busy = self._sender.send_due()
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            self._sender.outcomes["given_up"] += logout.give_up()
            self._report()
            if not logout.is_needed():
                self._loop.stopping.set()
        return SETTLE_SECONDS if is_busy else LOOK_EVERY_SECONDS

    def _finish(self) -> None:
        self._sender.finish()
        self._report()

    def _report(self) -> None:
        count, age = logout.NOTICES.waiting()
        line = json.dumps([count, age, self._sender.outcomes])
        self._sender.outcomes.clear()
        with suppress(OSError):  # the server process was killed
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

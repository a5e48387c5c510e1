"""The watchdog replaces workers that do not answer."""

import os
import resource
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import pytest

from authsite.serving import watchdog
from authsite.serving.watchdog import Watchdog
from tests.support import https
from tests.support.https import LocalHttps
from tests.support.process import within

PID = 4_000_000
FEW_FILES = 256
RECOVERY_SECONDS = 150.0


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def killed(monkeypatch):
    kills: list[tuple[int, signal.Signals]] = []
    monkeypatch.setattr(os, "kill", lambda pid, sign: kills.append((pid, sign)))
    monkeypatch.setattr(watchdog, "PATIENCE_SECONDS", 0.05)
    return kills


def watching(listener):
    return Watchdog(listener, tls=False, workers=lambda: [PID])


def test_workers_that_do_not_answer_for_long_are_killed(listener, killed, monkeypatch):
    """Withstands a failure."""
    dog = watching(listener)
    dog.check()
    assert killed == []

    later = time.monotonic() + watchdog.LOST_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    dog.check()
    dog.check()
    assert killed == [(PID, signal.SIGKILL)], "the new worker has the same time"


def test_systemd_is_told_only_while_the_workers_answer(listener, killed, monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(0.05)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        dog = watching(listener)

        dog.check()
        with pytest.raises(TimeoutError):
            systemd.recv(64)

        def answer():
            for _ in range(2):  # the first connection is that of the check above
                connection, _address = listener.accept()
                with connection, suppress(OSError):
                    assert connection.recv(256).startswith(b"GET /health/live ")
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        monkeypatch.setattr(watchdog, "PATIENCE_SECONDS", 10.0)
        server = Thread(target=answer)
        server.start()
        dog.check()
        server.join()
        assert systemd.recv(64) == b"WATCHDOG=1"
    assert killed == []


@pytest.mark.proof
def test_a_tls_server_without_file_descriptors_recovers(tmp_path, monkeypatch):
    # A client that waits longer than the watchdog gets its answer from the new worker.
    """Withstands a flood."""
    monkeypatch.setattr(https, "TIMEOUT_SECONDS", 5.0)
    with LocalHttps(tmp_path) as site, ExitStack() as stack:
        children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children")
        for pid in children.read_text().split():
            resource.prlimit(int(pid), resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
        for _ in range(2 * FEW_FILES):
            stack.enter_context(socket.create_connection(("127.0.0.1", site.port), 30))
        time.sleep(3)

        def is_well():
            with suppress(OSError):
                return site.client().get("/health/live").status == 200
            return False

        assert not is_well(), "the server has descriptors left"
        stack.close()

        assert within(RECOVERY_SECONDS, is_well)

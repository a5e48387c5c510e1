"""Replaces workers that do not answer, and tells systemd while they do.

With TLS, granian does not recover by itself when it has no file descriptors left. The watchdog asks
only whether the process lives: a database that is stopped must not restart the site.
"""

import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

log = logging.getLogger(__name__)

PAUSE_SECONDS = 15.0
# In a flood of connections, one that is served in turn can wait this long.
PATIENCE_SECONDS = 15.0
# Workers that have answered nothing for this time are killed.
LOST_SECONDS = 45.0
# A server that listens on all addresses is asked over the loopback interface.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 nothing listens here
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Watchdog:
    """Watches the workers behind ``place``, whose process ids ``workers`` returns.

    ``place``: an IP address and port, or the path of a Unix socket.
    ``tls``: whether they speak TLS.
    """

    def __init__(
        self, place: tuple[str, int] | str, *, tls: bool, workers: Callable[[], Iterable[int]]
    ) -> None:
        self._place = place
        self._tls = tls
        self._workers = workers
        self._lost_at = time.monotonic() + LOST_SECONDS

    def start(self) -> None:
        """Watch in a thread of its own."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def check(self) -> None:
        """Ask once. Tell systemd that the workers answer, or kill them if they did not for long."""
        if self._answers():
            self._lost_at = time.monotonic() + LOST_SECONDS
            _notify(b"WATCHDOG=1")
        elif time.monotonic() >= self._lost_at:
            log.error("The workers do not answer and are replaced.")
            self._lost_at = time.monotonic() + LOST_SECONDS
            for pid in self._workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _watch(self) -> None:
        while True:
            time.sleep(PAUSE_SECONDS)
            self.check()

    def _answers(self) -> bool:
        try:
            with self._connect() as connection:
                connection.sendall(REQUEST)
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    def _connect(self) -> socket.socket:
        connection = self._socket()
        if not self._tls:
            return connection
        # The server asks itself, so that it need not verify its own certificate.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            return context.wrap_socket(connection)
        except OSError:
            connection.close()
            raise

    def _socket(self) -> socket.socket:
        if not isinstance(self._place, str):
            ip, port = self._place
            return socket.create_connection((LOOPBACK.get(ip, ip), port), PATIENCE_SECONDS)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE_SECONDS)
        try:
            connection.connect(self._place)
        except OSError:
            connection.close()
            raise
        return connection


def _notify(message: bytes) -> None:
    """Send a message to systemd, if it has started this process (``sd_notify(3)``)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        # A name that begins with "@" is in Linux's abstract namespace.
        systemd.sendto(message, f"\0{path[1:]}" if path.startswith("@") else path)

"""Replaces workers that do not respond, and reports to systemd that the site responds.

granian replaces only workers that have ended. With TLS, a worker that once ran out of file
descriptors does not end, but no longer responds. systemd's ``WatchdogSec`` restarts a service
unless something reports that the service works. The watchdog checks only whether the workers
respond, because a stopped database must not restart the site.
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
# In a flood of connections, a connection may wait for its turn for this time.
PATIENCE_SECONDS = 15.0
# Workers that have not responded for this time are killed.
LOST_SECONDS = 45.0
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Watchdog(threading.Thread):
    """Watches the workers that accept connections at ``listener``.

    ``workers``: returns their process ids. ``tls``: whether they use TLS.
    """

    def __init__(
        self, listener: socket.socket, *, tls: bool, workers: Callable[[], Iterable[int]]
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._listener = listener
        self._workers = workers
        self._lost_at = time.monotonic() + LOST_SECONDS
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls else None
        if self._tls:  # the server asks itself, so that it need not verify its own certificate
            self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def run(self) -> None:
        """Repeat the check at intervals."""
        while True:
            time.sleep(PAUSE_SECONDS)
            self.check()

    def check(self) -> None:
        """Send one request to the workers, and report to systemd if they respond.

        If no such request was answered for :data:`LOST_SECONDS`, kill the workers.
        """
        if self._answers():
            self._lost_at = time.monotonic() + LOST_SECONDS
            _notify(b"WATCHDOG=1")
        elif time.monotonic() >= self._lost_at:
            log.error("The workers do not answer and are replaced.")
            self._lost_at = time.monotonic() + LOST_SECONDS
            for pid in self._workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(self._listener.family) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(self._listener.getsockname())
            with self._tls.wrap_socket(connection) if self._tls else connection as asked:
                asked.sendall(REQUEST)
                return b" 200 " in asked.recv(64)
        return False


def _notify(message: bytes) -> None:
    """Send a message to systemd, if systemd has started this process (``sd_notify(3)``)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        # A name that begins with "@" is in Linux's abstract namespace.
        systemd.sendto(message, f"\0{path[1:]}" if path.startswith("@") else path)

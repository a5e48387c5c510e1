"""granian, which serves the site, and renews its workers and their certificate without loss.

On SIGHUP a new worker starts beside the old one. As granian does it on Linux, each has a listening
socket of its own, and what waits in the old one's is reset when it ends, as is whoever is in the
middle of a TLS handshake. Here they have one socket, and before the old worker ends it's *retired*:
it takes no new connection, and politely closes those that it has.
"""

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from granian._internal import load_target  # what a worker loads, when it isn't told otherwise
from granian.log import logger
from granian.net import SocketHolder
from granian.server.mp import MPServer

BACKLOG = 1024
RETIRE = signal.SIGUSR1
# A new worker is ready by then; connections would only wait for one that isn't.
START_SECONDS = 6.0
# From there on, what the old one has begun, handshakes too, has so long to end.
RETIRED_SECONDS = 4.0
# Whoever hasn't ended by then is killed.
STOP_SECONDS = 30

type Start = Callable[..., Any]


class Server(MPServer):
    """granian with one listening socket, and workers that retire before they end.

    The port is taken at once, or an OSError says that another has it; connections wait until a
    worker is ready.
    """

    def __init__(self, target: str, **options: Any) -> None:
        super().__init__(
            target,
            backlog=BACKLOG,
            respawn_interval=START_SECONDS + RETIRED_SECONDS,
            workers_kill_timeout=STOP_SECONDS,
            **options,
        )
        self._files = (options.get("ssl_cert"), options.get("ssl_key"))
        self.on_reload(self._retire_soon)
        family = socket.AF_INET6 if ":" in self.bind_addr else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener.bind((self.bind_addr, self.bind_port))
        self._listener.listen(BACKLOG)
        self._listener.set_inheritable(True)

    def serve(self, *_args: Any, **_options: Any) -> None:
        """Until interrupted."""
        load = partial(_load, self._listener.fileno(), self.target)
        super().serve(target_loader=load, wrap_loader=False)

    def signal_handler_reload(self, *args: Any, **options: Any) -> None:
        """Renew the workers, unless the files aren't what TLS can be spoken with: stay as it is."""
        try:
            check(*self._files)
        except OSError as error:
            logger.error("The TLS certificate is not reloaded: %s", error)
        else:
            super().signal_handler_reload(*args, **options)

    def _init_shared_socket(self) -> None:
        """The socket as granian shares it where the system has no SO_REUSEPORT."""
        self._ssp, self._sso = None, self._listener
        shared: Any = SocketHolder  # whose stub doesn't know the third
        self._shd = shared(self._listener.fileno(), False, BACKLOG)

    def _retire_soon(self) -> None:
        pids = [worker.inner.pid for worker in self.wrks]
        threading.Timer(START_SECONDS, _retire, [pids]).start()


def check(cert: Path | None, key: Path | None) -> None:
    """OSError, in words, if these are no certificate and its key, or everybody may read that."""
    if cert is None or key is None:
        return
    for file in (cert, key):
        if not os.access(file, os.R_OK):
            raise PermissionError(f"{file} can't be read")
    if key.stat().st_mode & 0o007:
        raise PermissionError(f"{key} may be read by everybody: chmod 600")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        raise OSError(f"{cert} and {key} are no certificate and its key: {error.reason}") from None


def _retire(pids: Iterable[int | None]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid or 0, RETIRE)


def end_with_parent() -> None:
    """Let this process end when the one that started it does, also if that is killed: it would go
    on by settings that nobody has any more, and hold the port."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _load(listener: int, target: str) -> Start:
    """In a worker: the application, which closes its connections once the worker is retired."""
    end_with_parent()
    # Until granian has set its own, who is told to end would only note it, as its parent does.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    application = load_target(target)
    retired = threading.Event()

    def retire(*_args: object) -> None:
        # A socket that nobody connects to, under the number of the shared one.
        with socket.create_server(("127.0.0.1", 0)) as nobodys:
            nobodys.setblocking(False)
            os.dup2(nobodys.fileno(), listener)
        retired.set()

    signal.signal(RETIRE, retire)

    def answer(environ: dict[str, Any], start: Start) -> Any:
        return application(environ, partial(_last, start) if retired.is_set() else start)

    return answer


def _last(start: Start, status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
    """An answer after which the client connects anew."""
    return start(status, [*headers, ("Connection", "close")], *more)

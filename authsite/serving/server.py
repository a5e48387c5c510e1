"""The granian server, extended to replace its workers and the certificate without losing requests.

On SIGHUP, a new worker starts and then replaces the old one. On Linux, granian gives each worker
its own listening socket. When the old worker ends, connections that wait at its socket or are in a
TLS handshake are reset. Here, all workers share one socket, and the old worker is *retired* before
it ends: it accepts no new connections, and closes the open ones after their next response.
"""

import _thread
import errno
import os
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, override

from granian._internal import load_target  # the loader that workers use by default
from granian.constants import HTTPModes
from granian.http import HTTP1Settings
from granian.log import LogLevels, logger
from granian.net import SocketHolder
from granian.server.mp import MPServer

from authsite.serving.watchdog import Watchdog

BACKLOG = 1024
# A few more than ``capacity.INSIDE``; these threads refuse requests and answer health checks.
THREADS = 512
RETIRE = signal.SIGUSR1
# A new worker should be ready within this time. If it is not, connections wait for it.
START_SECONDS = 6.0
# A retired worker must complete its requests and TLS handshakes within this time.
RETIRED_SECONDS = 4.0
# A worker that has not ended after this time is killed.
STOP_SECONDS = 30
# The options of both servers.
OPTIONS: dict[str, Any] = {
    # The maximum number of connections in the queue of the socket.
    "backpressure": 1024,
    # A client has ten seconds for its request line and headers, from the connection or from the
    # last response, and 16 KiB. HTTP/2 would have no limits of its own for either.
    "http": HTTPModes.http1,
    "http1_settings": HTTP1Settings(header_read_timeout=10_000, max_buffer_size=16_384),
    "log_level": LogLevels.error,
    "respawn_failed_workers": True,
    "websockets": False,
}

# The peer of connections through a Unix socket.
LOCAL = "127.0.0.1"

type Start = Callable[..., Any]


class Server(MPServer):
    """A granian server with one listening socket, and workers that retire before they end.

    The constructor binds the port, or the Unix socket at the path ``unix``. Connections wait until
    a worker is ready.

    Raises:
        OSError: another process uses the port or the socket.
    """

    def __init__(self, target: str, *, unix: str = "", **options: Any) -> None:
        super().__init__(
            target,
            backlog=BACKLOG,
            blocking_threads=THREADS,
            respawn_interval=START_SECONDS + RETIRED_SECONDS,
            workers_kill_timeout=STOP_SECONDS,
            **OPTIONS,
            **options,
        )
        self.main_loop_interrupt = SignalEvent()
        self._files = (options.get("ssl_cert"), options.get("ssl_key"))
        self.on_reload(self._retire_soon)
        self._unix = unix
        self._listener = _bound_to_path(unix) if unix else _bound(self.bind_addr, self.bind_port)
        self._listener.listen(BACKLOG)
        self._listener.set_inheritable(True)

    def serve(self, *_args: Any, **_options: Any) -> None:
        """Serve until interrupted."""
        Watchdog(self._listener, tls=self.ssl_ctx[0], workers=self._pids).start()
        let_sigterm_end_forks()
        load = partial(_load, self._listener.fileno(), self.target)
        super().serve(target_loader=load, wrap_loader=False)

    def signal_handler_reload(self, *args: Any, **options: Any) -> None:
        """Replace the workers, unless the new certificate or its key is unusable."""
        try:
            check(*self._files)
        except OSError as error:
            logger.error("The TLS certificate is not reloaded: %s", error)
        else:
            super().signal_handler_reload(*args, **options)

    def _init_shared_socket(self) -> None:
        """Share one socket between all workers, as granian does on systems without SO_REUSEPORT."""
        self._ssp, self._sso = None, self._listener
        shared: Any = SocketHolder  # the type stub lacks the third argument
        self._shd = shared(self._listener.fileno(), bool(self._unix), BACKLOG)

    def _retire_soon(self) -> None:
        threading.Timer(START_SECONDS, _retire, [self._pids()]).start()

    def _pids(self) -> list[int]:
        return [worker.inner.pid for worker in self.wrks if worker.inner.pid]


def _bound(ip: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((ip, port))
    return listener


def _bound_to_path(path: str) -> socket.socket:
    """Return a Unix socket to which only the user and the group of the file can connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A killed server leaves its file behind, at which nobody listens.
    if listener.connect_ex(path) == errno.ECONNREFUSED:
        Path(path).unlink()
    listener.close()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o117)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    return listener


def check(cert: Path | None, key: Path | None) -> None:
    """Require that the files ``cert`` and ``key`` can be used for TLS.

    If either of them is None, nothing is checked.

    Raises:
        OSError: a file cannot be read, all users may read the key, or the files are not a
            certificate and its key.
    """
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


def _retire(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, RETIRE)


class SignalEvent(threading.Event):
    """An event that a signal handler can set.

    The handler runs in the thread that waits for the event, and this thread may have the lock of
    the event at that moment. With an ordinary event, the handler would wait for that lock forever.
    """

    @override
    def set(self) -> None:
        _thread.start_new_thread(super().set, ())


def end_with_parent() -> None:
    """Make this process end when its parent ends, even if the parent is killed.

    Otherwise the process would keep the port and continue to run with outdated settings.
    """
    parent = os.getppid()

    def watch() -> None:
        # Only Linux reports when another process ends.
        with suppress(AttributeError, OSError):
            select.select([os.pidfd_open(parent)], [], [])
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def let_sigterm_end_forks() -> None:
    """Make a SIGTERM end each process that this one forks from now on.

    Otherwise a worker that has just started would only record the SIGTERM, with the handler that it
    inherits, until granian installs its own. Stopping the server would then take ``STOP_SECONDS``.
    """
    signals = {signal.SIGTERM}

    def in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    os.register_at_fork(
        # The signal is blocked until the child has its own handler.
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signals),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, signals),
        after_in_child=in_child,
    )


def _load(listener: int, target: str) -> Start:
    """Load the application in a worker, and install the signal handler that retires the worker.

    A retired worker accepts no new connections, and closes each open one after its next response.
    """
    end_with_parent()
    from authsite.serving import capacity  # noqa: PLC0415 the plain server needs no database

    loaded: Any = load_target(target)
    application = capacity.Capacity(loaded)
    with socket.socket(fileno=os.dup(listener)) as address:
        is_unix = address.family == socket.AF_UNIX
        if not is_unix:
            capacity.close_silent_connections(address.getsockname()[1])
    retired = threading.Event()

    def retire(*_args: object) -> None:
        # Replace the shared socket with a socket to which nobody connects.
        with _unused(is_unix) as unused:
            unused.setblocking(False)
            os.dup2(unused.fileno(), listener)
        retired.set()

    signal.signal(RETIRE, retire)

    def answer(environ: dict[str, Any], start: Start) -> Any:
        if is_unix:
            environ["REMOTE_ADDR"] = LOCAL
        return application(environ, partial(_start_last, start) if retired.is_set() else start)

    return answer


def _unused(is_unix: bool) -> socket.socket:
    if not is_unix:
        return socket.create_server((LOCAL, 0))
    unused = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unused.bind("")  # Linux chooses a name that is not in the file system
    unused.listen()
    return unused


def _start_last(start: Start, status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
    """Start a response after which the connection is closed (``Connection: close``)."""
    return start(status, [*headers, ("Connection", "close")], *more)

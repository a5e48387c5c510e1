"""A TCP relay on the loopback interface, which stops, freezes or slows the server behind it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from tests.support.process import free_port


class Relay:
    """Passes connections to ``port`` on to the port ``target``."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._passes = threading.Event()
        self._delay = 0.0
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._passes.set()
        self._listen()
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Close all connections and refuse new ones."""
        self._close()
        try:
            yield
        finally:
            self._listen()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Accept connections, but pass nothing on."""
        self._passes.clear()
        try:
            yield
        finally:
            self._passes.set()

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Pass everything on 25 ms later, in both directions."""
        self._delay = 0.025
        try:
            yield
        finally:
            self._delay = 0.0

    def _listen(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", self.port), backlog=128)]
        threading.Thread(target=self._accept, args=(self._sockets,), daemon=True).start()

    def _close(self) -> None:
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self, sockets: list[socket.socket]) -> None:
        with suppress(OSError):
            while True:
                client, _address = sockets[0].accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                sockets += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passes.wait()
                time.sleep(self._delay)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

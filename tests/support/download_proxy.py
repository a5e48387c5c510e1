"""An HTTP proxy through which programs in another network namespace download packages."""

import re
import socket
import threading
from contextlib import suppress
from typing import Self

TARGET = re.compile(rb"(?:CONNECT |[A-Z]+ http://)([^:/ ]+)(?::(\d+))?[/ ]")
SECONDS = 60


class DownloadProxy:
    """Listens on the loopback interface of the namespace in which it is created.

    It connects from the namespace in which it is started.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _address = self._listener.accept()
                threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    """Connect a client to the server that its first request names."""
    head = b""
    with client, suppress(OSError):
        while b"\r\n\r\n" not in head and (part := client.recv(65536)):
            head += part
        if not (target := TARGET.match(head)):
            return
        is_tunnel = head.startswith(b"CONNECT")
        place = target[1].decode(), int(target[2] or 80)
        with socket.create_connection(place, SECONDS) as server:
            if is_tunnel:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                server.sendall(head)
            threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
            _pass_on(server, client)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)

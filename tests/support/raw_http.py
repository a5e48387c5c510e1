"""Requests and headers that no client library sends."""

import socket
from contextlib import suppress
from typing import Any

from tests.support.site import Site

HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
    "Cache-Control": "",
    "Server": "web",
}
EVIL = "evil.example"
# Makes the server close the connection, so that ``raw`` need not wait for its timeout.
END = "Connection: close\r\n"


def raw(site: Site, request: str) -> str:
    """Send these bytes; return all that the server answers until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=1) as connection:
        return exchange(connection, request.format(host=f"localhost:{site.port}"))


def exchange(connection: socket.socket, request: str) -> str:
    """Send a request; return all that is answered until the connection is closed or times out."""
    # The server may refuse a long request and close the connection while it is sent.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(request.encode("latin-1"))
    answer = b""
    with suppress(TimeoutError, ConnectionResetError):
        while part := connection.recv(65536):
            answer += part
    return answer.decode("latin-1")


def missing_headers(headers: Any) -> list[str]:
    return [name for name, part in HEADERS.items() if part not in (headers[name] or "\0")]

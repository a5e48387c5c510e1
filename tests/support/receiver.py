"""Servers on the loopback interface, such as an app's, which gets logout tokens and has keys."""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from trustme import CA

from authsite.serving.https import issue

# The IP address of the server.
PUBLIC = "127.0.0.1"
JSON = {"Content-Type": "application/json"}

type Answer = Callable[[Any], None]


def say(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Return what answers a request with ``status``."""

    def answer(request: Any) -> None:
        request.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def hang(request: Any) -> None:
    """Answer nothing for ten seconds."""
    request.server.released.wait(10)


def flood(request: Any) -> None:
    """Answer with a body of 300 MB, more than any client of the site may read."""
    request.send_response(200)
    request.send_header("Content-Length", str(300_000_000))
    request.end_headers()
    for _ in range(300):
        request.wfile.write(b"x" * 1_000_000)


def drip(request: Any) -> None:
    """Answer byte by byte, for ten seconds."""
    for _ in range(100):
        request.wfile.write(b"H")
        if request.server.released.wait(0.1):
            return


class Server:
    """Answers each request by ``receive``, with TLS if there is a folder for the certificate."""

    def __init__(self, folder: Path | None = None, names: Sequence[str] = ()) -> None:
        server: Any = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server = server
        self._server.daemon_threads = True
        self._server.released = threading.Event()
        self.port: int = self._server.server_port
        if folder:
            issue(folder, CA(), names)
            self.authority = folder / "ca.pem"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "site.pem", folder / "site.key")
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def receive(self, request: Any, body: str) -> None:
        raise NotImplementedError

    def release(self) -> None:
        """End all answers that hang or drip."""
        self._server.released.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receive = self.receive

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = raw.decode(errors="surrogateescape")
                try:
                    receive(self, body)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815 of http.server

            def log_message(self, *_args: Any) -> None:
                """Do not log requests: tests read what was received."""

        return Handler


class Receiver(Server):
    """Receives requests with TLS; ``got`` has the path, form and time of each.

    ``sent`` has the path, headers and body of each.
    ``answers`` says how to answer at each path; without one, the status is 200.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("127.0.0.1", "app.localhost"))
        self.got: list[tuple[str, dict[str, list[str]], float]] = []
        self.sent: list[tuple[str, dict[str, str], str]] = []
        self.answers: dict[str, Answer] = {}

    def receive(self, request: Any, body: str) -> None:
        self.sent.append((request.path, dict(request.headers), body))
        self.got.append((request.path, parse_qs(body), time.time()))
        self.answers.get(request.path, say(200))(request)

    def url(self, path: str = "/logout", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    def tokens(self, path: str = "/logout") -> list[str]:
        """Return the logout tokens that came at ``path``."""
        return [form["logout_token"][0] for there, form, _at in self.got if there == path]


WITHIN = [
    *("127.0.0.2", "127.2", "2130706434", "0x7f000002", "0177.0.0.2", "0.0.0.0", "0"),
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "255.255.255.255"),
    *("[::1]", "[::]", "[::7f00:2]", "[::ffff:127.0.0.2]", "[::ffff:0:7f00:2]", "[fd00:ec2::254]"),
    *("[64:ff9b::7f00:2]", "[2002:7f00:2::]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "224.0.0.1"),
]

"""``make https`` on free ports, and browsers that trust its authority alone."""

import http.client
import os
import socket
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.support.client import TIMEOUT_SECONDS, Client
from tests.support.env import clean
from tests.support.process import Process, free_port, listening
from tests.support.site import ROOT, Site

NAME = "authsite.localhost"


class LocalHttps:
    """``python -m authsite.https``, with its data in ``data_dir``."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.files = Site(data_dir=self.data_dir)
        self.authority = self.data_dir / "tls/ca.pem"
        self.port, self.redirect_port = free_port(), free_port()
        self.origin = f"https://{NAME}:{self.port}"
        self.process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        assert self.process
        self.process.wait_until(self._answers, "The site")
        return self

    def start(self) -> None:
        """Without waiting for it."""
        self.files.make_database()
        ports = {"PORT": str(self.port), "REDIRECT_PORT": str(self.redirect_port)}
        self.process = Process(
            [sys.executable, "-m", "authsite.https"],
            self.data_dir / "log",
            env=os.environ | clean(self.data_dir) | ports,
            cwd=ROOT,
        )

    def __exit__(self, *_error: object) -> None:
        if self.process:
            self.process.stop()

    def client(self, **headers: str) -> "TlsClient":
        """A new browser's worth of cookies."""
        return TlsClient(self.origin, self.port, self.authority, headers=headers)

    def plain(self) -> Client:
        """The same without TLS, at the port that redirects."""
        return Client(
            f"http://{NAME}:{self.redirect_port}", connect=("127.0.0.1", self.redirect_port)
        )

    def socket(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Open a connection over TLS that trusts the authority unless told otherwise."""
        return self.client().socket(context)

    def _answers(self) -> bool:
        if not (listening(self.port) and listening(self.redirect_port)):
            return False
        try:
            return self.client().get("/accounts/login/").status == 200
        except OSError:
            return False


class TlsClient(Client):
    """A browser that trusts `authority` alone, and speaks from `peer` to a port of the loopback."""

    def __init__(
        self,
        origin: str,
        port: int,
        authority: Path,
        *,
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
    ) -> None:
        super().__init__(origin, connect=("127.0.0.1", port), headers=headers)
        self._authority = authority
        self._peer = peer

    def connection(self) -> http.client.HTTPConnection:
        """Open a connection over TLS, made out to the name of the origin."""
        connection = http.client.HTTPConnection(*self._connect, timeout=TIMEOUT_SECONDS)
        connection.sock = self.socket()
        return connection

    def socket(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Open the same without any HTTP."""
        context = context or ssl.create_default_context(cafile=self._authority)
        plain = socket.create_connection(self._connect, TIMEOUT_SECONDS, (self._peer, 0))
        return context.wrap_socket(plain, server_hostname=urlsplit(self.origin).hostname)

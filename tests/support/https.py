"""``make https`` on free ports, and browsers that trust its authority alone."""

import http.client
import os
import socket
import ssl
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process:
            self.process.stop()

    def client(self, **headers: str) -> "TlsClient":
        """A new browser's worth of cookies."""
        return TlsClient(self, headers)

    def plain(self) -> Client:
        """The same without TLS, at the port that redirects."""
        return Client(
            f"http://{NAME}:{self.redirect_port}", connect=("127.0.0.1", self.redirect_port)
        )

    def socket(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection over TLS, by whoever trusts the authority unless told otherwise."""
        context = context or ssl.create_default_context(cafile=self.authority)
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
        return context.wrap_socket(plain, server_hostname=NAME)

    def _answers(self) -> bool:
        if not (listening(self.port) and listening(self.redirect_port)):
            return False
        try:
            return self.client().get("/accounts/login/").status == 200
        except OSError:
            return False


class TlsClient(Client):
    """A browser that speaks TLS to the site."""

    def __init__(self, site: LocalHttps, headers: dict[str, str]) -> None:
        super().__init__(site.origin, headers=headers)
        self._site = site

    def connection(self) -> http.client.HTTPConnection:
        """One over TLS, made out to the site's name."""
        connection = http.client.HTTPConnection(NAME, timeout=TIMEOUT_SECONDS)
        connection.sock = self._site.socket()
        return connection

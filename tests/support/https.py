"""Run ``make https`` on free ports, with clients that trust only its certificate authority."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.process import free_port, listening
from tests.support.site import TIMEOUT_SECONDS, Client, Site, production_settings

NAME = "authsite.localhost"


class LocalHttps(Site):
    """The site as ``python -m authsite.serving.https`` serves it."""

    program = "authsite.serving.https"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir=data_dir)
        self.authority = self.data_dir / "tls/ca.pem"
        self.redirect_port = free_port()
        self.env = {"PORT": str(self.port), "REDIRECT_PORT": str(self.redirect_port)}
        self.origin = f"https://{NAME}:{self.port}"

    def client(self, **headers: str) -> "TlsClient":
        return TlsClient(self.origin, self.port, self.authority, headers=headers)

    def plain(self) -> Client:
        """Return a client for the port that redirects plain HTTP."""
        port = self.redirect_port
        return Client(f"http://{NAME}:{port}", connect=("127.0.0.1", port))

    def socket(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Open a TLS connection; without ``context`` only the local authority is trusted."""
        return self.client().socket(context)

    def _answers(self) -> bool:
        return listening(self.redirect_port) and super()._answers()


class ProductionSite(Site):
    """A production site that speaks TLS itself, at a name that every program can resolve."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        from authsite.serving.https import certify

        port = str(free_port())
        origin = f"https://localhost:{port}"
        folder = data_dir / "tls"
        certify(folder)
        self.authority = folder / "ca.pem"
        files = {"TLS_CERT_FILE": "site.pem", "TLS_KEY_FILE": "site.key"}
        tls = {name: str(folder / file) for name, file in files.items()} | {"PORT": port}
        settings = production_settings(data_dir, origin) | tls | env
        super().__init__(data_dir=data_dir, migrate=True, **settings)

    def client(self, **headers: str) -> "TlsClient":
        return TlsClient(self.origin, self.port, self.authority, headers=headers)


class TlsClient(Client):
    """A client that trusts only `authority` and connects from the loopback IP `peer`."""

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
        connection = http.client.HTTPConnection(*self._connect, timeout=TIMEOUT_SECONDS)
        connection.sock = self.socket()
        return connection

    def socket(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        context = context or ssl.create_default_context(cafile=self._authority)
        plain = socket.create_connection(self._connect, TIMEOUT_SECONDS, (self._peer, 0))
        return context.wrap_socket(plain, server_hostname=urlsplit(self.origin).hostname)

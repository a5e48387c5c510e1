"""Certificates from an ACME server, and their renewal while people use the site."""

import http.client
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.conftest import production
from tests.support.acme import Pebble
from tests.support.proxies import NAME, Alone, Caddy, Nginx, Proxy
from tests.support.steps import LOGIN

pytestmark = pytest.mark.proof

RENEWALS = 3
BROWSERS = 6
RENEWAL_SECONDS = 60.0
# Caddy renews by itself, once two thirds of a certificate's life are over.
SHORT_SECONDS = 20
# While old and new workers both answer, so many answers of only one are chance for none.
SETTLED = 40


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), 30)
    return context.wrap_socket(plain, server_hostname=NAME)


def browse(port: int, root: Path, stop: threading.Event, *, keep: bool) -> Counter[str]:
    """Ask until told to stop, by one connection for all or each by its own.

    Where the server has closed an idle connection, a browser asks once more by another (RFC 9112
    section 9.3.1); whatever else goes wrong is a request lost.
    """
    context = ssl.create_default_context(cafile=root)
    found: Counter[str] = Counter()
    connection: http.client.HTTPConnection | None = None
    while not stop.is_set():
        is_reused = connection is not None
        try:
            if connection is None:
                connection = http.client.HTTPConnection(NAME)
                connection.sock = connect(port, context)
            connection.request("GET", LOGIN)
            answer = connection.getresponse()
            answer.read()
            found[str(answer.status)] += 1
            is_over = not keep or answer.will_close
        except (OSError, http.client.HTTPException) as error:
            is_idle = is_reused and isinstance(error, ConnectionError)
            found["asked again" if is_idle else repr(error)] += 1
            is_over = True
        if connection and is_over:
            connection.close()
            connection = None
    if connection:
        connection.close()
    return found


@contextmanager
def browsers(port: int, root: Path) -> Iterator[Counter[str]]:
    """Several at once; what became of their requests is there at the end."""
    stop, found = threading.Event(), Counter[str]()
    with ThreadPoolExecutor(BROWSERS) as pool:
        those = [pool.submit(browse, port, root, stop, keep=bool(i % 2)) for i in range(BROWSERS)]
        try:
            yield found
        finally:
            stop.set()
    for browser in those:
        found.update(browser.result())


def another(port: int, root: Path, than: str) -> str:
    """The number of the certificate that is shown in place of ``than``, vouched for by ``root``."""
    context = ssl.create_default_context(cafile=root)
    deadline = time.monotonic() + RENEWAL_SECONDS
    seen: list[str] = []
    while len(seen) < SETTLED:
        assert time.monotonic() < deadline, "no other certificate"
        try:
            with connect(port, context) as connection:
                number = str((connection.getpeercert() or {})["serialNumber"])
        except ssl.SSLCertVerificationError:  # the one before the first
            number = than
        is_same = number != than and number in seen[:1]
        seen = [*seen, number] if is_same else [number] * (number != than)
        time.sleep(0.05)
    return seen[0]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """For the site, for what is before it, for the ACME server."""
    found = [tmp_path / name for name in ("site", "front", "acme")]
    for folder in found:
        folder.mkdir()
    return found


def test_6_5_certificates_renew_behind_nginx(folders: list[Path]) -> None:
    with production(folders[0]) as site:
        renew(Nginx(folders[1], site), folders[2])


def test_6_5_certificates_renew_where_the_site_speaks_tls_itself(folders: list[Path]) -> None:
    renew(Alone(folders[1], production(folders[0])), folders[2])


def renew(front: Proxy, folder: Path) -> None:
    """By certbot, the webroot and the hook of ``deploy/``, each time at full load."""
    with front, Pebble(folder, front) as pebble:
        assert front.process
        hook = pebble.hook(front.folder / "tls", f"kill -HUP {front.process.pid}")
        pebble.certbot(
            *("certonly", "--webroot", "--webroot-path", front.acme, "--domain", NAME),
            *("--agree-tos", "--register-unsafely-without-email", "--deploy-hook", hook),
        )
        serials = [another(front.https, pebble.root(), "")]
        with browsers(front.https, pebble.root()) as found:
            for _ in range(RENEWALS):
                pebble.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
                serials.append(another(front.https, pebble.root(), serials[-1]))

    check(serials, found)


def check(serials: list[str], found: Counter[str]) -> None:
    assert len(set(serials)) == 1 + RENEWALS
    assert found["200"] > 100 * RENEWALS
    assert set(found) <= {"200", "asked again"}, found
    print(dict(found))  # noqa: T201 the proof's figures


class CaddyByAcme(Caddy):
    """Caddy as ``deploy/`` has it, but for where its certificates come from."""

    pebble: Pebble

    @property
    def authority(self) -> Path:
        return self.pebble.root()

    @property
    def issuer(self) -> str:
        asked = f"acme_ca {self.pebble.directory}\n\tacme_ca_root {self.pebble.authority}"
        return f"{asked}\n\trenew_interval 1s"


def test_6_5_certificates_renew_behind_caddy(folders: list[Path]) -> None:
    with production(folders[0]) as site:
        front = CaddyByAcme(folders[1], site)
        with Pebble(folders[2], front, seconds=SHORT_SECONDS) as front.pebble, front:
            serials = [another(front.https, front.authority, "")]
            with browsers(front.https, front.authority) as found:
                while len(serials) <= RENEWALS:
                    serials.append(another(front.https, front.authority, serials[-1]))

    check(serials, found)

"""Certificates from an ACME server, and their renewal while people use the site."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.acme import Pebble
from tests.support.https import TlsClient
from tests.support.proxies import NAME, ORIGIN, Caddy, Nginx
from tests.support.renewals import another, browsers
from tests.support.site import production

pytestmark = pytest.mark.proof

RENEWALS = 3
# Caddy renews by itself, once two thirds of a certificate's life are over.
SHORT_SECONDS = 20


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """For the site, for what is before it, for the ACME server."""
    found = [tmp_path / name for name in ("site", "front", "acme")]
    for folder in found:
        folder.mkdir()
    return found


def test_6_5_certificates_renew_behind_nginx(folders: list[Path]) -> None:
    """Renew through the webroot and the hook of `deploy/`, each time at full load."""
    with (
        production(folders[0], ORIGIN) as site,
        Nginx(folders[1], site) as front,
        Pebble(folders[2], front) as pebble,
    ):
        assert front.process
        hook = pebble.hook(front.folder / "tls", f"kill -HUP {front.process.pid}")
        pebble.certbot(
            *("certonly", "--webroot", "--webroot-path", front.acme, "--domain", NAME),
            *("--agree-tos", "--register-unsafely-without-email", "--deploy-hook", hook),
        )
        client = TlsClient(ORIGIN, front.https, pebble.root())
        serials = [another(client, "")]
        with browsers(client) as found:
            for _ in range(RENEWALS):
                pebble.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
                serials.append(another(client, serials[-1]))

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
    with production(folders[0], ORIGIN) as site:
        front = CaddyByAcme(folders[1], site)
        with Pebble(folders[2], front, seconds=SHORT_SECONDS) as front.pebble, front:
            serials = [another(front.client(), "")]
            with browsers(front.client()) as found:
                while len(serials) <= RENEWALS:
                    serials.append(another(front.client(), serials[-1]))

    check(serials, found)

"""Certificates are renewed under load without losing a request.

certbot renews from pebble, a local ACME server that works as Let's Encrypt does. ``make https``
makes its own certificates. Caddy renews by itself, without files of this site.
"""

import http.client
import os
import signal
import ssl
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from trustme import CA

from authsite.serving.https import NAMES, issue
from authsite.serving.server import RETIRED_SECONDS
from tests.support.acme import Pebble
from tests.support.https import LocalHttps, TlsClient
from tests.support.proxies import NAME, ORIGIN, Nginx
from tests.support.site import production

pytestmark = [pytest.mark.proof, pytest.mark.alone]

RENEWALS = 3
BROWSERS = 6
RENEWAL_SECONDS = 60.0
# Old and new workers answer at the same time for a while. After so many answers with the new
# certificate in a row, no old worker answers any more.
SETTLED = 40
PATH = "/.well-known/security.txt"


def browse(client, stop, *, keep):
    """Send requests until told to stop, and return the number of each kind of answer.

    With ``keep``, all requests use one connection; otherwise each uses a new one. If the server
    has closed an idle connection, a browser repeats the request (RFC 9112 section 9.3.1). Any other
    error is a lost request.
    """
    found: Counter[str] = Counter()
    connection: http.client.HTTPConnection | None = None
    while not stop.is_set():
        is_reused = connection is not None
        try:
            connection = connection or client.connection()
            connection.request("GET", PATH, headers=client._headers)
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
def browsers(client):
    """Run several browsers at once; the yielded counter has their answers after the block."""
    stop, found = threading.Event(), Counter[str]()
    with ThreadPoolExecutor(BROWSERS) as pool:
        those = [pool.submit(browse, client, stop, keep=bool(i % 2)) for i in range(BROWSERS)]
        try:
            yield found
        finally:
            stop.set()
    for browser in those:
        found.update(browser.result())


def wait_for_new_certificate(client, than):
    """Wait for another certificate that the client trusts, and return its serial number."""
    deadline = time.monotonic() + RENEWAL_SECONDS
    seen: list[str] = []
    while len(seen) < SETTLED:
        assert time.monotonic() < deadline, "the certificate was not renewed"
        try:
            with client.socket() as connection:
                number = str((connection.getpeercert() or {})["serialNumber"])
        except ssl.SSLCertVerificationError:  # the temporary certificate before the first
            number = than
        is_same = number != than and number in seen[:1]
        seen = [*seen, number] if is_same else [number] * (number != than)
        time.sleep(0.05)
    return seen[0]


def test_6_5_certbot_renews_behind_nginx_without_losing_a_request(tmp_path_factory):
    """certbot renews through the webroot and the hook of ``deploy/``."""
    site_folder, front_folder, acme = (tmp_path_factory.mktemp(name) for name in ("s", "f", "a"))
    with (
        production(site_folder, ORIGIN) as site,
        Nginx(front_folder, site) as front,
        Pebble(acme, front.http, front.https) as pebble,
    ):
        changes = {
            "-o authsite -g authsite": "",
            "/etc/authsite/tls": f"{front.folder}/tls",
            "systemctl reload nginx": f"kill -HUP {front.process.pid}",
        }
        hook = acme / "hook"
        hook.write_text(front.template("certbot-deploy-hook", changes))
        hook.chmod(0o700)
        pebble.certbot(
            *("certonly", "--webroot", "--webroot-path", front.acme, "--domain", NAME),
            *("--agree-tos", "--register-unsafely-without-email", "--deploy-hook", hook),
        )
        client = TlsClient(ORIGIN, front.https, pebble.root())
        serials = [wait_for_new_certificate(client, "")]
        with browsers(client) as found:
            for _ in range(RENEWALS):
                pebble.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
                serials.append(wait_for_new_certificate(client, serials[-1]))

    check(serials, found)


def check(serials, found):
    assert len(set(serials)) == 1 + RENEWALS
    assert found["200"] > 100 * RENEWALS
    assert set(found) <= {"200", "asked again"}, found
    print(dict(found))  # noqa: T201 the proof's figures


def test_6_5_renewals_under_load_lose_no_request(tmp_path):
    authority, files = CA(), tmp_path / "tls"
    issue(files, authority, NAMES)
    with LocalHttps(tmp_path) as https:
        # Clients would read the server's own copy while it is written.
        https.authority = tmp_path / "trusted.pem"
        authority.cert_pem.write_to_path(https.authority)
        serials = [wait_for_new_certificate(https.client(), "")]
        with browsers(https.client()) as found:
            for _ in range(RENEWALS):
                time.sleep(1)
                issue(files, authority, NAMES)
                os.kill(https.process.pid, signal.SIGHUP)
                serials.append(wait_for_new_certificate(https.client(), serials[-1]))
                # A retired worker takes no new connections and ends within this time.
                time.sleep(RETIRED_SECONDS + 2)

    check(serials, found)
    assert found.keys() == {"200"}

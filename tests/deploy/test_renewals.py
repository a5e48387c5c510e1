"""Certificates of the site's own server are renewed under load without losing a request.

nginx and Caddy promise it themselves. certbot gets a certificate in ``test_guide``.
"""

import http.client
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from trustme import CA

from authsite.serving.https import NAMES, issue
from authsite.serving.server import RETIRED_SECONDS
from tests.support.https import LocalHttps

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

    With ``keep``, all requests use one connection until the server closes it; otherwise each uses a
    new one. Any error is a lost request.
    """
    found: Counter[str] = Counter()
    connection: http.client.HTTPConnection | None = None
    while not stop.is_set():
        try:
            connection = connection or client.connection()
            connection.request("GET", PATH, headers=client._headers)
            answer = connection.getresponse()
            answer.read()
            found[str(answer.status)] += 1
            is_over = not keep or answer.will_close
        except (OSError, http.client.HTTPException) as error:
            found[repr(error)] += 1
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
    """Wait for another certificate, and return its serial number."""
    deadline = time.monotonic() + RENEWAL_SECONDS
    seen: list[str] = []
    while len(seen) < SETTLED:
        assert time.monotonic() < deadline, "the certificate was not renewed"
        with client.socket() as connection:
            number = str(connection.getpeercert()["serialNumber"])
        is_same = number != than and number in seen[:1]
        seen = [*seen, number] if is_same else [number] * (number != than)
        time.sleep(0.05)
    return seen[0]


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

    assert len(set(serials)) == 1 + RENEWALS
    assert found["200"] > 100 * RENEWALS
    assert found.keys() == {"200"}
    print(dict(found))  # noqa: T201 the proof's figures

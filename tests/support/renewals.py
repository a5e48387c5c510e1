"""Browsers that use a site over TLS while its certificate is renewed."""

import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.support.https import TlsClient

BROWSERS = 6
RENEWAL_SECONDS = 60.0
# While old and new workers both answer, so many answers of only one are chance for none.
SETTLED = 40
PATH = "/.well-known/security.txt"


def browse(client: TlsClient, stop: threading.Event, *, keep: bool) -> Counter[str]:
    """Ask until told to stop, by one connection for all or each by its own; count the answers.

    Where the server has closed an idle connection, a browser asks once more by another (RFC 9112
    section 9.3.1); whatever else goes wrong is a request lost.
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
def browsers(client: TlsClient) -> Iterator[Counter[str]]:
    """Run several at once; what became of their requests is there at the end."""
    stop, found = threading.Event(), Counter[str]()
    with ThreadPoolExecutor(BROWSERS) as pool:
        those = [pool.submit(browse, client, stop, keep=bool(i % 2)) for i in range(BROWSERS)]
        try:
            yield found
        finally:
            stop.set()
    for browser in those:
        found.update(browser.result())


def another(client: TlsClient, than: str) -> str:
    """Wait for another certificate that the client trusts, and return its number."""
    deadline = time.monotonic() + RENEWAL_SECONDS
    seen: list[str] = []
    while len(seen) < SETTLED:
        assert time.monotonic() < deadline, "no other certificate"
        try:
            with client.socket() as connection:
                number = str((connection.getpeercert() or {})["serialNumber"])
        except ssl.SSLCertVerificationError:  # the one before the first
            number = than
        is_same = number != than and number in seen[:1]
        seen = [*seen, number] if is_same else [number] * (number != than)
        time.sleep(0.05)
    return seen[0]

"""A certificate is renewed while people use the site: none of them notices."""

import http.client
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from authsite import local_ca
from authsite.server import RETIRED_SECONDS, START_SECONDS
from tests.support.https import NAME, LocalHttps

CLIENTS = 4
PATH = "/.well-known/security.txt"


class Visitor(threading.Thread):
    """Asks again and again: on one connection while it's kept, or on a new one each time."""

    def __init__(self, https: LocalHttps, ended: threading.Event, *, keeps: bool) -> None:
        super().__init__()
        self.answers: Counter[str] = Counter()
        self.certificates: set[bytes | None] = set()
        self._https, self._ended, self._keeps = https, ended, keeps

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._visit()
            except (OSError, http.client.HTTPException) as error:
                self.answers[repr(error)] += 1

    def _visit(self) -> None:
        with self._https.socket() as connection:
            self.certificates.add(connection.getpeercert(binary_form=True))
            client = http.client.HTTPConnection(NAME)
            client.sock = connection
            is_kept = True
            while is_kept and not self._ended.is_set():
                client.request("GET", PATH, headers={"Host": f"{NAME}:{self._https.port}"})
                answer = client.getresponse()
                answer.read()
                self.answers[str(answer.status)] += 1
                is_kept = self._keeps and not answer.will_close


def shown(https: LocalHttps) -> bytes | None:
    with https.socket() as connection:
        return connection.getpeercert(binary_form=True)


def renew(https: LocalHttps) -> None:
    """Wait for the end of the old worker, too, which takes no connection once it's retired."""
    assert https.process
    former = shown(https)
    (https.data_dir / "tls/site.pem").unlink()
    local_ca.issued(https.data_dir / "tls", [NAME])
    os.kill(https.process.pid, signal.SIGHUP)
    time.sleep(START_SECONDS + 1)
    assert former not in {shown(https) for _ in range(20)}
    time.sleep(RETIRED_SECONDS + 2)


@pytest.mark.proof
def test_6_5_two_renewals_under_load_lose_no_request(tmp_path: Path) -> None:
    with LocalHttps(tmp_path) as https:
        ended = threading.Event()
        visitors = [
            Visitor(https, ended, keeps=keeps) for keeps in (False, True) for _ in range(CLIENTS)
        ]
        for visitor in visitors:
            visitor.start()
        try:
            for _ in range(2):
                time.sleep(1)
                renew(https)
        finally:
            ended.set()
            for visitor in visitors:
                visitor.join()

    for visitor in visitors:
        assert visitor.answers.keys() == {"200"}, visitor.answers
        assert len(visitor.certificates) == 3
        assert visitor.answers.total() > 100

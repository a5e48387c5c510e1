"""Sites whose database, disk or mail server fails."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import Process
from tests.support.services import Service
from tests.support.site import Client, Site

READY = "/health/ready"
RECOVERY_SECONDS = 5.0
# More than the log, and less than the write-ahead log of a database with one user.
FULL_BYTES = 50_000
FULL = "The site can’t store anything at the moment."


def children(process: Process) -> list[int]:
    """Return the process ids of the workers of a server."""
    return [*map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())]


def storage(site: Site) -> tuple[int, str]:
    answer = site.client().get(READY)
    return answer.status, answer.json()["storage"]


def log_lines(site: Site, text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in site.log().splitlines() if text in line]


@contextmanager
def full_disk(site: Site) -> Iterator[None]:
    """Limit the size of the files that the site writes, as a quota does."""
    pids = children(site.process)
    _soft, hard = resource.prlimit(pids[0], resource.RLIMIT_FSIZE)
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
    try:
        yield
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def stopped(service: Service) -> Iterator[None]:
    service.stop()
    try:
        yield
    finally:
        service.start()


def client(site: Site) -> Client:
    return site.client(X_Forwarded_Proto="https")

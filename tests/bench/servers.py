"""Run the servers that are measured: this site as in production, and the yardstick."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.support.client import TIMEOUT_SECONDS, Response
from tests.support.process import Process, free_port, listening
from tests.support.site import ROOT, Site, production
from tests.support.virtualenvs import environment

# A name that always stands for this machine (RFC 6761 section 6.3).
HOST = "authsite.localhost"
PASSWORD = "a long password for measuring"
PEOPLE = 16
YARDSTICKS = Path(__file__).parent / "yardsticks"
# As many as the site has (`authsite.__main__`).
THREADS = "16"
SETUP_SECONDS = 1800.0
LOGIN = "/accounts/login/"


class Request(NamedTuple):
    """A request, in the order of the arguments of `HTTPConnection.request`."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]


@dataclass(frozen=True)
class Server:
    """A running server and the requests to it; `api` is the path prefix of its API."""

    process: Process
    port: int
    headers: dict[str, str]
    api: str

    def get(self, path: str) -> Request:
        return Request("GET", path, None, self.headers)

    def who(self, access: str) -> Request:
        bearer = {"Authorization": f"Bearer {access}"}
        return Request("GET", f"{self.api}me/", None, self.headers | bearer)

    def log_in(self, number: int) -> Request:
        return self.post("token/", username=f"person{number % PEOPLE}", password=PASSWORD)

    def renew(self, token: str) -> Request:
        return self.post("token/refresh/", refresh=token)

    def post(self, path: str, **body: str) -> Request:
        headers = self.headers | {"Content-Type": "application/json"}
        return Request("POST", self.api + path, json.dumps(body).encode(), headers)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)

    def ask(self, asked: Request, kept: http.client.HTTPConnection | None = None) -> Response:
        """Send a request and return the answer, over a new connection unless one is given."""
        if kept is None:
            with closing(self.connection()) as connection:
                return self.ask(asked, connection)
        kept.request(*asked)
        answer = kept.getresponse()
        return Response(asked.path, answer.status, answer.headers, answer.read())

    def tokens(self, number: int) -> dict[str, str]:
        answer = self.ask(self.log_in(number))
        assert answer.status == 200, answer
        pair: dict[str, str] = answer.json()
        return pair


def unlimited(data: Path, database: str = "") -> Site:
    """Return a production site whose rate limits are never reached."""
    url = database or f"sqlite:///{data / 'db.sqlite3'}"
    scale = {"LIMITS_SCALE": "10000", "ACCESS_TOKEN_SECONDS": "3600"}
    return production(data, f"https://{HOST}", DATABASE_URL=url, **scale)


@contextmanager
def ours(
    database: str = "", *, people: int = PEOPLE, families: int = 0, known: int = 0
) -> Iterator[tuple[Server, list[dict[str, str]]]]:
    """Run this site with its people, and yield it with the tokens of the known sessions."""
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data = Path(folder)
        site, to = unlimited(data, database), data / "known.json"
        site.make_database()
        asked = {"people": people, "families": families, "known": known, "password": PASSWORD}
        env = site._environment | {"GROW": json.dumps(asked | {"to": str(to)})}
        _run(sys.executable, "manage.py", "shell", "-c", "import tests.bench.grow", env=env)
        site.start()
        # The headers of a proxy that forwards a request.
        headers = {
            "Host": HOST,
            "User-Agent": "curl/8.14",
            "X-Forwarded-For": "198.51.100.7",
            "X-Forwarded-Proto": "https",
        }
        try:
            yield Server(site.process, site.port, headers, "/api/v1/"), json.loads(to.read_text())
        finally:
            site.stop()


@contextmanager
def stock(**database: str) -> Iterator[Server]:
    """Run the yardstick with as many people, in the same server program with as many threads.

    `database` overrides members of the default database in its settings.
    """
    programs = environment(YARDSTICKS / "requirements.txt")
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data, port = Path(folder), free_port()
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "yardstick.settings",
            "PYTHONPATH": f"{YARDSTICKS}:{data}",
            "STOCK_DATABASE": json.dumps(database),
        }
        _run(programs / "django-admin", "startproject", "stock", data)
        _run(programs / "python", "-m", "django", "migrate", "--verbosity=0", env=env, cwd=data)
        _run(programs / "python", "-c", MAKE_PEOPLE, env=env, cwd=data)
        process = Process(
            [
                programs / "granian",
                *("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
                *("--blocking-threads", THREADS, "--no-ws", "--log-level", "error"),
                *("--factory", "django.core.wsgi:get_wsgi_application"),
            ],
            data / "log",
            env=env,
            cwd=data,
        )
        server = Server(process, port, {"Host": "127.0.0.1", "User-Agent": "curl/8.14"}, "/api/")
        try:
            process.wait_until(lambda: listening(port), "The yardstick")
            assert server.ask(server.get(LOGIN)).status == 200
            yield server
        finally:
            process.stop()


MAKE_PEOPLE = f"""
import django
django.setup()
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
password = make_password({PASSWORD!r})
for n in range({PEOPLE}):
    name = f"person{{n}}"
    User.objects.create(username=name, email=f"{{name}}@example.org", password=password)
"""


def _run(*command: Any, env: Mapping[str, str] = os.environ, cwd: Path = ROOT) -> None:
    subprocess.run(
        command, check=True, cwd=cwd, env=env, stdin=subprocess.DEVNULL, timeout=SETUP_SECONDS
    )

"""Run the site: its server program with its database and mails in a separate folder."""

import email.policy
import http.client
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode, urljoin, urlsplit

import psycopg

from tests.support.env import SCHEMA, clean, shared
from tests.support.missing import find, missing
from tests.support.process import (
    LATER_SECONDS,
    Process,
    free_port,
    listening,
    run,
    slack,
    within,
)
from tests.support.services import Postgres

TIMEOUT_SECONDS = 60.0
TOKEN = re.compile(r'<input[^>]* name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass(frozen=True)
class Response:
    url: str
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(self.headers.get_content_charset("utf-8"))

    @property
    def location(self) -> str:
        """The ``Location`` header as the site wrote it, or an empty string."""
        return self.headers["Location"] or ""

    @property
    def cookies(self) -> dict[str, Morsel[str]]:
        """The cookies that this response sets, with their attributes."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.get_all("Set-Cookie", []):
            jar.load(line)
        return dict(jar)

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """The cookies of one browser at ``origin``. Redirects are not followed.

    ``connect`` is the host and port to connect to, for an origin that this machine cannot resolve.
    """

    def __init__(
        self,
        origin: str,
        *,
        connect: tuple[str, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = origin
        parts = urlsplit(origin)
        self._connect = connect or (parts.hostname or "", parts.port or 80)
        self._headers = {"Host": parts.netloc}
        self._headers |= {name.replace("_", "-"): text for name, text in (headers or {}).items()}
        self.cookies: dict[str, Morsel[str]] = {}

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("GET", path, headers=headers)

    def post(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        csrf: bool | str = True,
        form: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a form as a browser does.

        The CSRF token is read from the page at ``form``, by default ``path``. ``csrf`` is False to
        send no token, or a token from ``csrf()`` to save a request.
        """
        fields = dict(data or {})
        if csrf:
            token = csrf if isinstance(csrf, str) else self.csrf(form or path)
            fields["csrfmiddlewaretoken"] = token
        return self.request(
            "POST",
            path,
            body=urlencode(fields, doseq=True).encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": self.origin,
                "Referer": urljoin(self.origin, form or path),
                **(headers or {}),
            },
        )

    def csrf(self, path: str) -> str:
        page = self.get(path)
        found = TOKEN.search(page.text)
        assert found, f"{path} answered {page.status} without a form:\n{page.text[:500]}"
        return found[1]

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        sent = {**self._headers, **(headers or {})}
        if self.cookies:
            pairs = (f"{name}={morsel.coded_value}" for name, morsel in self.cookies.items())
            sent.setdefault("Cookie", "; ".join(pairs))
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            url, body = urljoin(self.origin, path), answer.read()
            response = Response(url, answer.status, answer.headers, body)
        finally:
            connection.close()
        for name, morsel in response.cookies.items():
            # Django deletes a cookie by Max-Age=0.
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel
        return response

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._connect, timeout=TIMEOUT_SECONDS * slack())


def together[T](n: int, work: Callable[[int], T]) -> list[T]:
    """Run ``work(0)`` to ``work(n - 1)`` in ``n`` threads that start at the same moment.

    Returns their results in order. If any call raises, the first of the exceptions is raised.
    """
    from django.db import connections

    barrier = threading.Barrier(n)

    def run(i: int) -> T:
        barrier.wait(TIMEOUT_SECONDS)
        try:
            return work(i)
        finally:
            connections.close_all()  # they belong to this thread, which ends

    with ThreadPoolExecutor(max_workers=n) as pool:
        return [future.result() for future in [pool.submit(run, i) for i in range(n)]]


ROOT = Path(__file__).resolve().parents[2]
MANAGE_SECONDS = 120.0
# The environment of a site on which no test measures time or load.
CHEAP_HASHES = {"PYTHONPATH": f"{ROOT / 'tests/support/cheap_hashes'}:{ROOT}"}


class SentMail(NamedTuple):
    """A mail, with its headers: parsing them at each look costs most of the time of a race."""

    written: int
    file: str
    to: str
    subject: str
    message: EmailMessage

    @classmethod
    def read(cls, file: Path) -> Self:
        mail = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(file.read_bytes())
        written = file.stat().st_mtime_ns
        return cls(written, file.name, str(mail["To"]), str(mail["Subject"]), mail)


class Site:
    """A development site that ``python -m authsite`` serves on a free port.

    Settings are given by name::

        with Site(SIGNUP="closed") as site:
            site.client().get("/accounts/login/")
    """

    program = "authsite"
    # The folder of the code, and the Python with its packages.
    root, python = ROOT, sys.executable
    process: Process

    def __init__(self, *, data_dir: Path | None = None, migrate: bool = True, **env: str) -> None:
        self._owns_folder = data_dir is None
        self._migrate = migrate
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="authsite-site-"))
        self.port = int(env.get("PORT") or free_port())
        self._log = self.data_dir / f"server-{self.port}.log"
        self._mails: dict[str, SentMail] = {}
        # Tests look for secrets in the request log.
        own = {"ORIGIN": f"http://localhost:{self.port}", "LOG_LEVEL": "info"}
        self.env = {"PORT": str(self.port)} | own | env
        self.origin = self.env["ORIGIN"]

    def __enter__(self) -> Self:
        if self._migrate:
            self.make_database()
        return self.start()

    def __exit__(self, *_error: object) -> None:
        try:
            if hasattr(self, "process") and self.process.running:
                self.stop()
        finally:
            if self._owns_folder:
                shutil.rmtree(self.data_dir)

    def start(self) -> Self:
        """Start the server, also after ``stop`` or ``kill``, and wait until it answers."""
        self.launch().wait_until(self._answers, "The site")
        return self

    def launch(self) -> Process:
        """Start the server without waiting for it."""
        command = [self.python, "-m", self.program]
        self.process = Process(command, self._log, env=self._environment, cwd=self.root)
        return self.process

    def stop(self) -> int:
        """Stop the server as an operator would, and return its exit code."""
        return self.process.stop()

    def kill(self) -> None:
        """Kill the server and its workers at once, as a power cut would."""
        self.process.kill()
        # On a busy machine, a worker dies a moment later, and keeps the port until then.
        assert within(LATER_SECONDS, lambda: not listening(self.port))

    def second(self, **env: str) -> "Site":
        """Return another node of the site: the same data, database and origin, another port."""
        given = self.env | {"PORT": str(free_port())} | env
        return Site(data_dir=self.data_dir, migrate=False, **given)

    def client(self, **headers: str) -> Client:
        """Return a new client without cookies; ``User_Agent="…"`` sets a header."""
        return Client(self.origin, connect=("127.0.0.1", self.port), headers=headers)

    def manage(self, *args: str) -> str:
        """Run ``manage.py`` and return its output; raise `AssertionError` if it fails."""
        words = (self.python, "manage.py", *args)
        return run(*words, seconds=MANAGE_SECONDS, cwd=self.root, env=self._environment)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def mails(self, *, to: str = "", subject: str = "") -> list[EmailMessage]:
        """Return the sent mails, oldest first, that have these words in To and Subject."""
        for file in (self.data_dir / "mail").glob("*.eml"):
            if file.name not in self._mails:
                self._mails[file.name] = SentMail.read(file)
        found = [mail for mail in [*self._mails.values()] if to in mail.to]
        return [mail.message for mail in sorted(found) if subject in mail.subject]

    def wait_for_mail(self, *, to: str = "", subject: str = "", count: int = 1) -> EmailMessage:
        """Wait until ``count`` such mails were sent, and return the newest."""
        if not within(LATER_SECONDS, lambda: len(self.mails(to=to, subject=subject)) >= count):
            seen = [(str(mail["To"]), str(mail["Subject"])) for mail in self.mails()]
            raise AssertionError(f"no mail {to=} {subject=} {count=}; there are {seen}")
        return self.mails(to=to, subject=subject)[-1]

    def make_database(self) -> None:
        """Create a migrated database by copying one, which is faster than migrating."""
        url = self.env.get("DATABASE_URL", "")
        if url.startswith("postgres"):
            self._make_postgres_database(url)
        else:
            file = url.removeprefix("sqlite:///") or self.data_dir / "db.sqlite3"
            shutil.copy(migrated(), file)

    def collect_static(self) -> None:
        """Copy the collected static files, except those of the admin; they are collected once."""
        shutil.copytree(shared("static", self._collect), self.data_dir / "static")

    @property
    def _environment(self) -> dict[str, str]:
        # Without bytecode files each start would compile the whole site.
        bytecode = {"PYTHONDONTWRITEBYTECODE": ""}
        return os.environ | bytecode | clean(self.data_dir) | self.env

    def _make_postgres_database(self, url: str) -> None:
        """Copy the server's migrated database, which is restored from a dump at its first use."""
        server, name = url.rsplit("/", 1)
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            known = "SELECT 1 FROM pg_database WHERE datname = 'migrated'"
            if connection.execute(known).fetchone() is None:
                dump = shared("migrated.sql", self._dump, *SCHEMA)
                connection.execute("CREATE DATABASE migrated")
                _postgres_program("psql", "--quiet", f"--file={dump}", f"{server}/migrated")
            connection.execute(f"DROP DATABASE {name}")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")

    def _collect(self, folder: Path) -> None:
        self.manage("collectstatic", "--noinput", "--verbosity", "0", "--ignore", "admin")
        (self.data_dir / "static").rename(folder)

    def _dump(self, file: Path) -> None:
        self.manage("migrate", "--verbosity", "0")
        _postgres_program("pg_dump", f"--file={file}", self.env["DATABASE_URL"])

    def _answers(self) -> bool:
        if not listening(self.port):
            return False
        try:
            self.client().get("/accounts/login/")
        except OSError:
            return False
        return True


def production(folder: Path, origin: str, **env: str) -> Site:
    """Return a production site behind a TLS proxy on this machine, with its data in ``folder``."""
    settings = production_settings(folder, origin) | {"TRUSTED_PROXIES": "127.0.0.1"}
    return Site(data_dir=folder, migrate=True, **(settings | env))


def production_settings(folder: Path, origin: str) -> dict[str, str]:
    """Return the settings that a production site at ``origin`` needs; email goes to a folder."""
    from accounts.common import secrets

    return {
        "ENVIRONMENT": "production",
        "ORIGIN": origin,
        "SECRET_KEY": secrets.token(48),
        "ENCRYPTION_KEYS": secrets.encryption_key(),
        "EMAIL_URL": (folder / "mail").as_uri(),
        "MAIL_FROM": "accounts@example.org",
    }


def migrated() -> Path:
    """Return an SQLite database that is migrated and otherwise empty, to copy it."""
    return shared("migrated.sqlite3", _migrate, *SCHEMA)


def _migrate(file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="authsite-site-") as folder:
        site = Site(data_dir=Path(folder), DATABASE_URL=f"sqlite:///{file}")
        site.manage("migrate", "--verbosity", "0")


def _postgres_program(name: str, *args: str) -> None:
    program = find(name, also_in=Postgres.folders) or missing(name)
    run(program, *args)


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(preferencelist=("plain",))
    assert part, "the mail has no plain text"
    return part.get_content()

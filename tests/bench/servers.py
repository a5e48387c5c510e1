"""The servers that are measured: this site as in production, and the yardstick beside it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils.crypto import get_random_string

from tests.bench.load import Answer, Connection, request
from tests.support.process import Process, free_port, listening
from tests.support.site import ROOT, Site

# Below .localhost, since a site on the internet may not be asked to forget its limits.
HOST = "authsite.localhost"
PASSWORD = "a long password for measuring"
PEOPLE = 16
HERE = Path(__file__).parent
YARDSTICKS = HERE / "yardsticks"
# As the site's own (``authsite.__main__``).
THREADS = "16"
KEY_BITS = 3072
SETUP_SECONDS = 1800.0

ME, TOKEN, REFRESH = "/api/v1/me/", "/api/v1/token/", "/api/v1/token/refresh/"
STOCK_ME, STOCK_TOKEN, STOCK_REFRESH = "/api/me/", "/api/token/", "/api/token/refresh/"
LOGIN = "/accounts/login/"


@dataclass(frozen=True)
class Server:
    """One that runs: where, and how it's spoken to."""

    process: Process
    port: int
    headers: dict[str, str]
    me: str
    token: str
    refresh: str

    def get(self, path: str, **headers: str) -> bytes:
        """A request for a page or, with a token, of a program."""
        return request("GET", path, self.headers | headers)

    def post(self, path: str, body: dict[str, Any] | bytes, **headers: str) -> bytes:
        """A form, or JSON."""
        return request("POST", path, self.headers | headers, body)

    def who(self, access: str) -> bytes:
        """Who one is, by an access token."""
        return self.get(self.me, Authorization=f"Bearer {access}")

    def log_in(self, number: int) -> bytes:
        """The sign-in of a person, by password, over the API."""
        body = {"username": f"person{number % PEOPLE}", "password": PASSWORD}
        return self.post(self.token, body)

    def renew(self, token: str) -> bytes:
        """The next pair for a refresh token."""
        return self.post(self.refresh, {"refresh": token})

    def ask(self, asked: bytes) -> Answer:
        """One answer."""
        with Connection(self.port) as connection:
            return connection.ask(asked)

    def tokens(self, number: int) -> dict[str, str]:
        """A pair of tokens of a person."""
        answer = self.ask(self.log_in(number))
        assert answer.status == 200, answer
        pair: dict[str, str] = answer.json()
        return pair


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """One that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"authsite-bench-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def production(data: Path, database: str, **env: str) -> Site:
    """The site as behind a proxy on this machine that ends TLS; limits on, none of them met."""
    secret = data / "secret_key"
    if not secret.exists():
        secret.write_text(get_random_string(64))
        (data / "encryption_keys").write_text(_encryption_key())
    settings = {
        "ENVIRONMENT": "production",
        "ORIGIN": f"https://{HOST}",
        "SECRET_KEY_FILE": str(secret),
        "ENCRYPTION_KEYS_FILE": str(data / "encryption_keys"),
        "DATABASE_URL": database or f"sqlite:///{data / 'db.sqlite3'}",
        "EMAIL_URL": (data / "mail").as_uri(),
        "MAIL_FROM": f"authsite@{HOST}",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ACCESS_TOKEN_SECONDS": "3600",
        "LIMITS_SCALE": "10000",
    }
    return Site(data_dir=data, migrate=True, **(settings | env))


@contextmanager
def ours(database: str = "", **grown: int) -> Iterator[tuple[Server, list[dict[str, str]]]]:
    """This site with its people; and the tokens of those of its sign-ins that are known."""
    with folder("site") as data:
        site = production(data, database)
        site.make_database()
        told = grow(site, **grown)
        site.start()
        assert site.process
        try:
            yield at(site), told
        finally:
            site.stop()


def at(site: Site) -> Server:
    """How the site is spoken to: by a proxy, for a client elsewhere."""
    assert site.process
    headers = {
        "Host": HOST,
        "User-Agent": "curl/8.14",
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
    }
    return Server(site.process, site.port, headers, ME, TOKEN, REFRESH)


def grow(site: Site, people: int = PEOPLE, families: int = 0, known: int = 0) -> Any:
    """Fill its database; what is known of its sign-ins."""
    to = site.data_dir / "known.json"
    asked = {"people": people, "families": families, "known": known, "password": PASSWORD}
    env = site._environment | {"GROW": json.dumps(asked | {"to": str(to)})}
    _run([sys.executable, "manage.py", "shell", "--command", "import tests.bench.grow"], env, ROOT)
    return json.loads(to.read_text())


@contextmanager
def stock(database: dict[str, str] | None = None) -> Iterator[Server]:
    """The yardstick with as many people, by the same server program with as many threads."""
    programs = environment()
    with folder("stock") as data:
        port = free_port()
        env = os.environ | _stock_settings(data, database)
        _run([programs / "python", "-m", "django", "migrate", "--verbosity=0"], env, data)
        _run([programs / "python", "-c", MAKE_PEOPLE], env, data)
        process = Process(
            [
                programs / "granian",
                *("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
                *("--blocking-threads", THREADS, "--no-ws", "--log-level", "error"),
                "stock.wsgi:application",
            ],
            data / "log",
            env=env,
            cwd=data,
        )
        headers = {"Host": "127.0.0.1", "User-Agent": "curl/8.14"}
        server = Server(process, port, headers, STOCK_ME, STOCK_TOKEN, STOCK_REFRESH)
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


def _stock_settings(data: Path, database: dict[str, str] | None) -> dict[str, str]:
    key = rsa.generate_private_key(65537, KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (data / "key.pem").write_bytes(private)
    (data / "key.pub").write_bytes(public)
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(data / "db.sqlite3")}
    return {
        "DJANGO_SETTINGS_MODULE": "stock.settings",
        "PYTHONPATH": str(YARDSTICKS),
        "STOCK_DATABASES": json.dumps({"default": database or sqlite}),
        "STOCK_KEY": str(data / "key.pem"),
        "STOCK_SECRET_KEY": get_random_string(64),
    }


def environment() -> Path:
    """The programs of the yardsticks' own environment, made anew when what it has changes."""
    wanted = YARDSTICKS / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    venv = ROOT / ".cache" / "bench"
    stamp = venv / digest
    if not stamp.exists():
        _run([sys.executable, "-m", "venv", "--clear", venv], os.environ, ROOT)
        pip = [venv / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "install", "--require-hashes", "-r", wanted], os.environ, ROOT)
        stamp.touch()
    return venv / "bin"


def seconds_to_start(data: Path) -> float:
    """From the command to the first answer, with nothing to do but to start."""
    site = production(data, "")
    begun = time.perf_counter()
    site.start()
    took = time.perf_counter() - begun
    site.stop()
    return took


def _encryption_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _run(command: list[Any], env: Any, cwd: Path) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        check=False,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=SETUP_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{command}:\n{done.stdout}{done.stderr}")

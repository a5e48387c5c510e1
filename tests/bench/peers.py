"""Run the yardsticks: other software for the same tasks, in ``yardsticks/``.

Each is set up as its documentation says, with this site's cost of a password hash. It is skipped
if a program or a package that it needs is not installed.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from accounts.common.setting_parsers import parse_database_url
from tests.bench.servers import PASSWORD, PEOPLE, App, Request, Server, Tokens, algorithm_of
from tests.support.node import node, packages
from tests.support.process import Process, free_port, run, serving
from tests.support.virtualenvs import environment

STOCK, FLASK, OIDC, BETTER = "stock Django", "Flask-Security-Too", "oidc-provider", "better-auth"
STOCK_KEPT = f"{STOCK} that keeps connections"
YES = "an application that only says yes"
YARDSTICKS = Path(__file__).parent / "yardsticks"
# Enough for the loads: more threads do not make Django faster.
THREADS = "16"
SETUP_SECONDS = 600.0
SIMPLEJWT_DEFAULT = "HS256"
# The size of the keys that oidc-provider uses during development.
OIDC_RSA_BITS = 2048
# The key of person0 for Django REST framework's TokenAuthentication.
KEY = "0123456789abcdef" * 2
HEADERS = {"Host": "127.0.0.1", "User-Agent": "curl/8.14"}


def granian(programs: Path, port: int, application: str, *options: str) -> list[Any]:
    """Return the command for the server program of this site, with as many threads."""
    where = ("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port))
    size = ("--blocking-threads", THREADS, "--no-ws", "--log-level", "error")
    return [programs / "granian", *where, *size, *options, application]


@contextmanager
def stock(algorithm: str, database: str = "", *, keeps: bool = False) -> Iterator[Server]:
    """Run Django with allauth, Django REST framework and simplejwt.

    `database` is the URL of a PostgreSQL database; the default is SQLite. `keeps` says whether
    connections to it persist, which they do not by default.
    """
    programs = environment(YARDSTICKS / "requirements.txt")
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data, port = Path(folder), free_port()
        members = parse_database_url(database) if database else {}
        members |= {"CONN_MAX_AGE": None} if keeps else {}
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "yardstick.settings",
            "PYTHONPATH": f"{YARDSTICKS}:{data}",
            "STOCK": json.dumps({"algorithm": algorithm, "database": members}),
        }
        for program, *words in (
            ("django-admin", "startproject", "stock", data),
            ("python", "-m", "django", "migrate", "--verbosity=0"),
            ("python", "-c", MAKE_PEOPLE),
        ):
            run(programs / program, *words, cwd=data, env=env, seconds=SETUP_SECONDS)
        command = granian(programs, port, "django.core.wsgi:get_wsgi_application", "--factory")
        with serving(command, data / "log", port, env=env, cwd=data) as process:
            name = STOCK_KEPT if keeps else STOCK
            server = Server(name, process, port, HEADERS, algorithm, key=f"Token {KEY}")
            assert algorithm_of(server.tokens()[0].access) == algorithm
            yield server


@contextmanager
def served(name: str, application: str, login_path: str = "") -> Iterator[Server]:
    """Run an application of ``yardsticks/`` on the server program of this site."""
    programs = environment(YARDSTICKS / "requirements.txt")
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data, port = Path(folder), free_port()
        env = os.environ | {"PYTHONPATH": str(YARDSTICKS)}
        command = granian(programs, port, application)
        with serving(command, data / "log", port, env=env, cwd=data) as process:
            yield Server(name, process, port, HEADERS, login_path=login_path)


flask_security = partial(served, FLASK, "flask_site:application", "/login")
# Allows every request.
yes = partial(served, YES, "yes:application")


@dataclass(frozen=True)
class OIDCProvider(Server):
    """An OpenID Provider that issues opaque access tokens and signed ID tokens."""

    known: tuple[Tokens, ...] = ()

    def tokens(self) -> Sequence[Tokens]:
        return self.known

    def me(self, credential: str) -> Request:
        return self.get("/me", Authorization=credential)

    def renew(self, refresh: str) -> Request:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        # The id and the secret of the client are `bench`.
        client = {"Authorization": "Basic YmVuY2g6YmVuY2g="}
        body = urlencode({"grant_type": "refresh_token", "refresh_token": refresh}).encode()
        return Request("POST", "/token", body, self.headers | form | client)


@contextmanager
def oidc_provider(rsa_bits: int = OIDC_RSA_BITS) -> Iterator[Server]:
    """Run node-oidc-provider with its store in memory.

    `rsa_bits` is the size of the key that signs its ID tokens.
    """
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data, port = Path(folder), free_port()
        options = {"port": port, "to": str(data / "tokens.json"), "bits": rsa_bits}
        with _in_node("oidc_provider.mjs", data, options) as process:
            told = json.loads((data / "tokens.json").read_text())
            known = tuple(Tokens(**pair) for pair in told["tokens"])
            app = App.at("/auth", "/token", "bench:bench", told["cookie"])
            yield OIDCProvider(
                OIDC, process, port, HEADERS, "RS256", jwks_path="/jwks", app=app, known=known
            )


class BetterAuth(Server):
    def log_in(self, number: int, password: str = PASSWORD) -> Request:
        return self.post("sign-in/email", email=f"person{number}@example.org", password=password)


@contextmanager
def better_auth(database: str) -> Iterator[Server]:
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data, port = Path(folder), free_port()
        options = {"port": port, "database": database, "people": PEOPLE, "password": PASSWORD}
        with _in_node("better_auth.mjs", data, options) as process:
            yield BetterAuth(BETTER, process, port, HEADERS, "session cookie", "/api/auth/")


@contextmanager
def _in_node(program: str, data: Path, options: Mapping[str, Any]) -> Iterator[Process]:
    """Run a program beside its packages, where Node finds them."""
    folder = packages(YARDSTICKS / "node").parent
    shutil.copy(YARDSTICKS / "node" / program, folder)
    env = os.environ | {"NODE_ENV": "production", "OPTIONS": json.dumps(options)}
    command, port = [node(), folder / program], options["port"]
    with serving(command, data / "log", port, env=env, cwd=data) as process:
        yield process


MAKE_PEOPLE = f"""
import django
django.setup()
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
password = make_password({PASSWORD!r})
for n in range({PEOPLE} + 1):
    name = f"person{{n}}"
    user = User.objects.create(username=name, email=f"{{name}}@example.org", password=password)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
Token.objects.create(user=User.objects.get(username="person0"), key={KEY!r})
"""

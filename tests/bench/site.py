"""Run this site as in production, with people and sessions, to measure it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.servers import PASSWORD, PEOPLE, App, Server, Tokens, algorithm_of
from tests.support.process import run
from tests.support.site import ROOT, Site, production

# A name that always stands for this machine (RFC 6761 section 6.3).
HOST = "authsite.localhost"
GROW_SECONDS = 1800.0
# The headers of a proxy that forwards a request.
HEADERS = {
    "Host": HOST,
    "User-Agent": "curl/8.14",
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "https",
}


@dataclass(frozen=True)
class Ours(Server):
    """This site, with the number of its people and the tokens of the known sessions."""

    people: int = PEOPLE
    known: tuple[Tokens, ...] = ()


def site_in(data: Path, database: str = "", **env: str) -> Site:
    """Return a production site whose rate limits are never reached, unless `env` sets others."""
    url = database or f"sqlite:///{data / 'db.sqlite3'}"
    measured = {"LIMITS_SCALE": "10000", "ACCESS_TOKEN_SECONDS": "3600", "DATABASE_URL": url}
    return production(data, f"https://{HOST}", **(measured | env))


@contextmanager
def ours(
    database: str = "",
    *,
    people: int = PEOPLE + 1,
    families: int = 0,
    known: int = 0,
    hears: bool = False,
    **env: str,
) -> Iterator[Ours]:
    """Run this site with its people and sessions (`families`), some of them with known tokens.

    `hears`: whether the app has a back-channel logout URI.
    """
    with TemporaryDirectory(prefix="authsite-bench-") as folder:
        data = Path(folder)
        site, to = site_in(data, database, **env), data / "known.json"
        site.make_database()
        asked = {"people": people, "families": families, "known": known, "password": PASSWORD}
        grow = {"GROW": json.dumps(asked | {"few": PEOPLE + 1, "hears": hears, "to": str(to)})}
        shell = ("manage.py", "shell", "--no-imports", "-c", "import tests.bench.grow")
        grown = site._environment | grow
        run(sys.executable, *shell, seconds=GROW_SECONDS, cwd=ROOT, env=grown)
        told = json.loads(to.read_text())
        site.start()
        try:
            yield Ours(
                name="this site",
                process=site.process,
                port=site.port,
                headers=HEADERS,
                algorithm=algorithm_of(told["access"]),
                api="/api/v1/",
                key=f"Bearer {told['key']}",
                app=App.at("/oauth/authorize", "/oauth/token", told["client"])._replace(
                    tokens=tuple(told["of_app"])
                ),
                of_wiki=told["of_wiki"],
                of_staff=told["of_staff"],
                people=people,
                known=tuple(Tokens(**pair) for pair in told["known"]),
            )
        finally:
            site.stop()

"""What is measured, and how. A cost is seconds of the processor, of all of a server's processes."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median, quantiles

from tests.bench import loads
from tests.bench.load import Answer, Load, drive
from tests.bench.rows import Row, compared, interleaved, number
from tests.bench.servers import Server, folder, ours, production, seconds_to_start, stock
from tests.bench.usage import TICKS, cpu_seconds, peak_mib
from tests.support.services import Postgres
from tests.support.site import ROOT

CONNECTIONS = 4
STORM = 12
AT_ONCE = 12
STOCK = "stock Django REST framework and simplejwt"


@dataclass(frozen=True)
class Effort:
    """How many rounds there are, how many requests of a connection are one, and how many people
    and sign-ins there are where there are many and where there are few."""

    rounds: int = 5
    pages: int = 250
    calls: int = 500
    stormy: int = 200
    refreshes: int = 100
    logins: int = 20
    starts: int = 5
    people: int = 100_000
    families: int = 500_000
    few: int = 1_000


def costs(server: Server, load: Load, each: int, *also: int) -> Callable[[], float]:
    """What one request costs the server, and the process trees in ``also``."""
    roots = (server.process.pid, *also)

    def measure() -> float:
        begun = cpu_seconds(*roots)
        drive(server.port, load, connections=CONNECTIONS, each=each)
        # What is less than a tick isn't seen.
        used = max(cpu_seconds(*roots) - begun, 1 / TICKS)
        return used / (CONNECTIONS * each)

    return measure


def on_sqlite(effort: Effort) -> Iterator[Row]:
    """What needs no other service."""
    with ours() as (site, _), stock() as other:
        mine, others = loads.logins(site), _raw(effort.logins)
        yield compared(
            "sign-ins by password over the API",
            interleaved(effort.rounds, costs(site, mine, effort.logins), others),
            0.8,
            yardstick="Argon2 alone",
        )
        yield compared(
            "sign-ins by password on the page",
            interleaved(effort.rounds, costs(site, loads.forms(site), effort.logins), others),
            0.8,
            yardstick="Argon2 alone",
        )
        for name, load, each, against in (
            ("who one is, by an access token", loads.calls, effort.calls, STOCK),
            ("the sign-in page", loads.page, effort.pages, "allauth’s own page"),
        ):
            pair = interleaved(
                effort.rounds,
                costs(site, load(site), each),
                costs(other, load(other), each),
            )
            yield compared(name, pair, 4, yardstick=against)
        yield in_a_storm(effort, site, other)
        yield memory(site, other)


def memory(site: Server, other: Server) -> Row:
    """The most that it has ever used; each of the loads above has been by."""
    mine, others = peak_mib(site.process.pid), peak_mib(other.process.pid)
    return Row(
        "memory at its peak",
        f"{number(mine)} MiB",
        f"{STOCK}: {number(others)} MiB",
        (mine,),
        200,
        at_least=False,
        unit=" MiB",
    )


def in_a_storm(effort: Effort, site: Server, other: Server) -> Row:
    """How much slower the slowest of a hundred calls is while many sign in."""
    mine = [_slower(site, effort.stormy) for _ in range(effort.rounds)]
    others = [_slower(other, effort.stormy) for _ in range(effort.rounds)]
    quiet, stormy = (number(1000 * median(column)) for column in zip(*mine, strict=True))
    ratios = [b / a for a, b in others]
    return Row(
        f"the slowest 1 % of such calls while {STORM} sign in, to those when nobody does",
        f"{stormy} ms to {quiet} ms",
        f"{STOCK}: {number(median(ratios))} times",
        tuple(b / a for a, b in mine),
        10,
        at_least=False,
    )


def _slower(server: Server, each: int) -> tuple[float, float]:
    """The 99th percentile of ``GET me`` by one connection: alone, and in a storm of sign-ins."""
    load, storm, over = loads.calls(server), loads.storm(server), threading.Event()
    quiet = drive(server.port, load, connections=1, each=each)
    with ThreadPoolExecutor(1) as pool:
        stormy = pool.submit(drive, server.port, storm, connections=STORM, each=10_000, until=over)
        try:
            time.sleep(1)
            loud = drive(server.port, load, connections=1, each=each)
        finally:
            over.set()
        stormy.result()
    return quantiles(quiet, n=100)[98], quantiles(loud, n=100)[98]


def on_postgres(effort: Effort, postgres: Postgres) -> Iterator[Row]:
    """What is asked of a database server."""
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": str(postgres.port),
        "USER": "postgres",
        "NAME": postgres.database().rpartition("/")[2],
    }
    with ours(postgres.database()) as (site, _), stock(database) as other:
        pair = interleaved(
            effort.rounds,
            costs(site, loads.chains(site), effort.refreshes),
            costs(other, loads.chains(other), effort.refreshes),
        )
        yield compared("refreshes with rotation, on PostgreSQL", pair, 8, yardstick=STOCK)
        yield successors(site, other)


def successors(site: Server, other: Server) -> Row:
    """How many tokens follow one that is used many times at once; and the last of them is good."""
    mine, theirs = _followers(site), _followers(other)
    assert site.ask(site.renew(next(iter(mine)))).status == 200, "the family lives"
    return Row(
        f"different successors of a refresh token that is used {AT_ONCE} times at once",
        str(len(mine)),
        f"{STOCK}: {len(theirs)}",
        (len(mine),),
        1,
        at_least=False,
    )


def _followers(server: Server) -> set[str]:
    asked = server.renew(server.tokens(0)["refresh"])
    gun = threading.Barrier(AT_ONCE)

    def ask(_number: int) -> Answer:
        gun.wait(60)
        return server.ask(asked)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    return {answer.json()["refresh"] for answer in answers if answer.status == 200}


def among_many(effort: Effort, postgres: Postgres) -> Iterator[Row]:
    """What a call costs the site and its database among many people, to what it costs among few.

    Each request is of another sign-in, which wasn't used before.
    """
    each = max(effort.refreshes, effort.few // (CONNECTIONS * (effort.rounds + 1)))
    known = CONNECTIONS * each * (effort.rounds + 1)
    database = postgres.process
    assert database
    with (
        ours(postgres.database(), people=effort.people, families=effort.families, known=known) as (
            full,
            many,
        ),
        ours(postgres.database(), people=effort.few, families=known, known=known) as (empty, few),
    ):
        for name, of in (
            ("who one is", lambda server, told: server.who(told["access"])),
            ("a refresh", lambda server, told: server.renew(told["refresh"])),
        ):
            sides = [
                costs(
                    server,
                    loads.strangers([of(server, each_) for each_ in told]),
                    each,
                    database.pid,
                )
                for server, told in ((full, many), (empty, few))
            ]
            large, small = interleaved(effort.rounds, *sides)
            yield Row(
                f"what {name} costs, database included, among {effort.people:,} people and "
                f"{effort.families:,} sign-ins, to among {effort.few:,}",
                f"{number(1e6 * median(large))} µs",
                f"this site: {number(1e6 * median(small))} µs",
                tuple(a / b for a, b in zip(large, small, strict=True)),
                1.15,
                at_least=False,
            )


def starting(effort: Effort) -> Row:
    """From the command to the first page."""
    with folder("start") as data:
        site = production(data, "")
        site.make_database()
        took = [seconds_to_start(data) for _ in range(effort.starts + 1)][1:]
    return Row(
        "start of the server, to its first page",
        f"{number(median(took))} s",
        "",
        tuple(took),
        1.5,
        at_least=False,
        unit=" s",
    )


def _raw(each: int) -> Callable[[], float]:
    """What one verification by Argon2 alone costs."""

    def measure() -> float:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.raw", str(each)],
            capture_output=True,
            check=True,
            cwd=ROOT,
            text=True,
            timeout=300,
        )
        return float(done.stdout)

    return measure

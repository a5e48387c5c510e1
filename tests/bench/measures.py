"""The measurements.

A cost is processor time in seconds, summed over all processes of a server, as Linux counts it.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from argon2 import PasswordHasher

from accounts.passwords.hashers import Argon2id
from tests.bench import loads
from tests.bench.loads import Load, drive
from tests.bench.report import Row, compared, interleaved, number
from tests.bench.servers import PASSWORD, Server, ours, stock, unlimited
from tests.support.client import together
from tests.support.services import Postgres

CONNECTIONS = 4
STORM = 12
AT_ONCE = 12
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024
STOCK = "stock Django REST framework and simplejwt"


@dataclass(frozen=True)
class Effort:
    """The number of rounds, of requests per connection in a round, of people and of sessions.

    ``few`` is the number of people in the small database that the large one is compared with.
    """

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


def tree(root: int) -> dict[int, list[str]]:
    """Return the fields of `/proc/PID/stat` after the name, for `root` and all its descendants."""
    stats = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    found = [root]
    for pid in found:
        found += [child for child, fields in stats.items() if int(fields[1]) == pid]
    return {pid: stats[pid] for pid in found if pid in stats}


def cpu_seconds(*roots: int) -> float:
    """Return the processor time of process trees, including children that have ended."""
    stats = {pid: fields for root in roots for pid, fields in tree(root).items()}
    return sum(int(field) for fields in stats.values() for field in fields[11:15]) / TICKS


def peak_mib(root: int) -> float:
    """Return the sum of the peak memory of each process in a tree, in MiB."""
    states = [Path(f"/proc/{pid}/status").read_text() for pid in tree(root)]
    return sum(int(kib) for kib in re.findall(r"VmHWM:\s+(\d+)", "".join(states))) / MIB


def costs(server: Server, load: Load, each: int, *also: int) -> Callable[[], float]:
    """Return a function that measures the cost of one request for the server and for `also`.

    `also` are the roots of further process trees.
    """
    roots = (server.process.pid, *also)

    def measure() -> float:
        begun = cpu_seconds(*roots)
        drive(server, load, connections=CONNECTIONS, each=each)
        # Linux does not count less than a tick.
        used = max(cpu_seconds(*roots) - begun, 1 / TICKS)
        return used / (CONNECTIONS * each)

    return measure


def argon2_alone(each: int) -> float:
    """Measure the cost of one Argon2 verification with the site's parameters and concurrency.

    Nothing else may run in this process meanwhile.
    """
    hasher = PasswordHasher(Argon2id.time_cost, Argon2id.memory_cost, Argon2id.parallelism)
    encoded, threads = hasher.hash(PASSWORD), os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        begun = time.process_time()
        list(pool.map(lambda _: hasher.verify(encoded, PASSWORD), range(threads * each)))
    return (time.process_time() - begun) / (threads * each)


def on_sqlite(effort: Effort) -> Iterator[Row]:
    with ours() as (site, _), stock() as other:
        for name, load in (
            ("sign-ins by password over the API", loads.logins(site)),
            ("sign-ins by password on the page", loads.forms(site)),
        ):
            mine = costs(site, load, effort.logins)
            pair = interleaved(effort.rounds, mine, lambda: argon2_alone(effort.logins))
            yield compared(name, pair, 0.8, yardstick="Argon2 alone")
        for name, of, each, against in (
            ("who one is, by an access token", loads.calls, effort.calls, STOCK),
            ("the sign-in page", loads.page, effort.pages, "allauth’s own page"),
        ):
            sides = (costs(server, of(server), each) for server in (site, other))
            yield compared(name, interleaved(effort.rounds, *sides), 4, yardstick=against)
        yield in_a_storm(effort, site, other)
        # The peak covers all loads above.
        peak, others = peak_mib(site.process.pid), f"{number(peak_mib(other.process.pid))} MiB"
        words = f"{number(peak)} MiB", f"{STOCK}: {others}"
        yield Row("memory at its peak", *words, (peak,), 200, unit=" MiB")


def in_a_storm(effort: Effort, site: Server, other: Server) -> Row:
    """Measure how much slower the slowest percent of calls gets during many sign-ins."""
    mine = [_slower(site, effort.stormy) for _ in range(effort.rounds)]
    others = [_slower(other, effort.stormy) for _ in range(effort.rounds)]
    quiet, stormy = (number(1000 * median(column)) for column in zip(*mine, strict=True))
    return Row(
        f"the slowest 1 % of such calls while {STORM} sign in, to those when nobody does",
        f"{stormy} ms to {quiet} ms",
        f"{STOCK}: {number(median(b / a for a, b in others))} times",
        tuple(b / a for a, b in mine),
        10,
    )


def _slower(server: Server, each: int) -> tuple[float, float]:
    """Return the 99th percentile of `GET me/` in seconds: alone, and during many sign-ins."""
    load, over = loads.calls(server), threading.Event()
    # These are more sign-ins than the site hashes at once, so some get status 429.
    storm = replace(loads.logins(server), status=(200, 429))
    quiet = drive(server, load, connections=1, each=each)
    with ThreadPoolExecutor(1) as pool:
        stormy = pool.submit(drive, server, storm, connections=STORM, each=10_000, until=over)
        try:
            time.sleep(1)
            loud = drive(server, load, connections=1, each=each)
        finally:
            over.set()
        stormy.result()
    return quantiles(quiet, n=100)[98], quantiles(loud, n=100)[98]


def on_postgres(effort: Effort, postgres: Postgres) -> Iterator[Row]:
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": str(postgres.port),
        "USER": "postgres",
        "NAME": postgres.database().rpartition("/")[2],
    }
    with ours(postgres.database()) as (site, _), stock(**database) as other:
        sides = (costs(s, loads.chains(s), effort.refreshes) for s in (site, other))
        pair = interleaved(effort.rounds, *sides)
        yield compared("refreshes with rotation, on PostgreSQL", pair, 8, yardstick=STOCK)
        mine, theirs = successors(site), successors(other)
        assert site.ask(site.renew(next(iter(mine)))).status == 200, "the session is still live"
        name = f"different successors of a refresh token that is used {AT_ONCE} times at once"
        yield Row(name, str(len(mine)), f"{STOCK}: {len(theirs)}", (len(mine),), 1)


def successors(server: Server) -> set[str]:
    asked = server.renew(server.tokens(0)["refresh"])
    answers = together(AT_ONCE, lambda _: server.ask(asked))
    return {answer.json()["refresh"] for answer in answers if answer.status == 200}


def among_many(effort: Effort, postgres: Postgres) -> Iterator[Row]:
    """Compare the cost of a call, database included, among many people and among few.

    Each request uses another session that was not used before.
    """
    each = max(effort.refreshes, effort.few // (CONNECTIONS * (effort.rounds + 1)))
    known = CONNECTIONS * each * (effort.rounds + 1)
    database = postgres.process.pid
    many, few = (
        ours(postgres.database(), people=people, families=families, known=known)
        for people, families in ((effort.people, effort.families), (effort.few, known))
    )
    with many as (full, its), few as (empty, others):
        for name, key, of in (
            ("who one is", "access", Server.who),
            ("a refresh", "refresh", Server.renew),
        ):
            sides = (
                costs(s, loads.each_once([of(s, pair[key]) for pair in told]), each, database)
                for s, told in ((full, its), (empty, others))
            )
            large, small = interleaved(effort.rounds, *sides)
            yield Row(
                f"what {name} costs, database included, among {effort.people:,} people and "
                f"{effort.families:,} sign-ins, to among {effort.few:,}",
                f"{number(1e6 * median(large))} µs",
                f"this site: {number(1e6 * median(small))} µs",
                tuple(a / b for a, b in zip(large, small, strict=True)),
                1.15,
            )


def starting(effort: Effort) -> Row:
    """Measure the time from the start command to the first page."""
    took = []
    with TemporaryDirectory(prefix="authsite-bench-") as data:
        site = unlimited(Path(data))
        site.make_database()
        for _ in range(effort.starts + 1):
            begun = time.perf_counter()
            site.start()
            took.append(time.perf_counter() - begun)
            site.stop()
    name, words = "start of the server, to its first page", f"{number(median(took[1:]))} s"
    return Row(name, words, "", tuple(took[1:]), 1.5, unit=" s")

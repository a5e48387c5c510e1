"""The measurements, which yield the rows of the table."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import pytest

from accounts.tokens.keys import RSA_BITS
from tests.bench import loads, peers
from tests.bench.loads import drive
from tests.bench.meter import CONNECTIONS, Effort, Meter, Side, number, ratios
from tests.bench.report import Row, compared
from tests.bench.servers import Server
from tests.bench.site import Ours, ours, site_in
from tests.support.processes import pss_mib
from tests.support.services import Postgres

STORM = 12
# More than the calls of a round take.
STORM_SECONDS = 600.0
# Longer than hashing threads wait for another hash before they return their memory.
REST_SECONDS = 5.0


def entered[S: Server](
    stack: ExitStack, name: str, peer: Callable[[], AbstractContextManager[S]]
) -> S | str:
    """Run a server until the stack closes, or return why it is skipped."""
    try:
        return stack.enter_context(peer())
    except pytest.skip.Exception as reason:
        return f"{name}: skipped, {reason}"


def starting(effort: Effort) -> Iterator[Row]:
    """Measure the time from the start command to the first page."""
    took = []
    with TemporaryDirectory(prefix="authsite-bench-") as data:
        site = site_in(Path(data))
        site.make_database()
        for _ in range(effort.rounds + 1):
            begun = time.perf_counter()
            site.start()
            took.append(time.perf_counter() - begun)
            site.stop()
    median_seconds = f"{number(median(took[1:]))} s"
    yield Row("start to the first page", "", median_seconds, "", tuple(took[1:]), 0.5, unit=" s")


def on_sqlite(effort: Effort) -> Iterator[Row]:
    meter = Meter(effort)
    with ExitStack() as stack:
        site = stack.enter_context(ours())
        limited = stack.enter_context(ours(LIMITS_SCALE="1"))
        django, kept = (
            entered(stack, peers.STOCK, partial(peers.stock, site.algorithm, keeps=keeps))
            for keeps in (False, True)
        )
        flask = entered(stack, peers.FLASK, peers.flask_security)
        oidc = entered(stack, peers.OIDC, peers.oidc_provider)
        yield from passwords(meter, site, limited)
        yield from calls(meter, site, (django, kept), oidc)
        yield from apps(meter, site)
        yield proxied(meter, site, entered(stack, peers.YES, peers.yes))
        yield from pages(meter, site, django, flask)
        yield from signed_in_pages(meter, site)
        yield in_a_storm(meter, site)
        yield memory(site, django, "after these loads", 125)
        drive_mixed(site, effort.mixed)
        yield memory(site, "", f"after {effort.mixed:,} mixed requests more", 130)
    yield at_the_limit(meter)
    yield memory_with_sender()


def passwords(meter: Meter, site: Ours, limited: Ours) -> Iterator[Row]:
    login, failed, one_hash = meter.interleaved(
        meter.side(site, loads.logins), meter.side(site, loads.failed, ""), meter.hash()
    )
    besides = tuple(ratio - 1 for ratio in ratios(login, one_hash))
    name, against = "login: processor time besides Argon2, to one hash", one_hash.words
    yield Row(name, site.algorithm, login.cell, against, besides, 0.15)
    name = "failed login, to a login"
    yield Row(name, "", failed.cell, login.words, ratios(failed, login), 1)
    (refused,) = meter.interleaved(meter.side(limited, loads.refused))
    rates = tuple(1 / cost for cost in refused.costs)
    name = "logins refused by a limit (429)"
    yield Row(name, "", refused.cell, "", rates, 1_500, at_least=True, unit="/s")


def calls(
    meter: Meter, site: Ours, stocks: Sequence[Server | str], oidc: Server | str
) -> Iterator[Row]:
    """`stocks`: stock Django, without and with connections that persist."""
    me, reconnecting, keeping, oidcs = meter.interleaved(
        *(meter.side(server, loads.calls) for server in (site, *stocks)),
        meter.side(oidc, loads.calls, "opaque token"),
    )
    yield compared("`GET me/` by access token", me, reconnecting, 7)
    yield compared("`GET me/` by access token", me, keeping, 4)
    yield compared("`GET me/` by access token", me, oidcs, 1)
    by_key, *others = meter.interleaved(
        *(meter.side(server, loads.calls_by_key, "API key") for server in (site, *stocks))
    )
    for other in others:
        yield compared("`GET me/` by API key", by_key, other)
    for name, load, goal in (
        ("refresh with rotation", loads.refreshes, 2),
        ("JWKS", loads.jwks, 1.2),
    ):
        mine, theirs = meter.interleaved(meter.side(site, load), meter.side(oidc, load))
        yield compared(name, mine, theirs, goal)


def apps(meter: Meter, site: Ours) -> Iterator[Row]:
    """Compare sign-ins to apps and their refreshes.

    oidc-provider is started anew, because it stores only the last 1,000 objects: the loads before
    have displaced the session of the browser. It signs once with keys as long as this site's.
    """
    with ExitStack() as stack:
        sides = [meter.side(site, loads.app_sign_ins, f"RS256 with {RSA_BITS:,} bits")]
        for bits in (RSA_BITS, peers.OIDC_RSA_BITS):
            oidc = entered(stack, peers.OIDC, partial(peers.oidc_provider, bits))
            sides.append(meter.side(oidc, loads.app_sign_ins, f"RS256 with {bits:,} bits"))
        mine, *others = meter.interleaved(*sides)
    name = "sign-in to an app: authorization request or token request"
    for theirs, goal in zip(others, (0.8, 0.33), strict=True):
        yield compared(name, mine, theirs, goal)
    of_app, own = meter.interleaved(
        meter.side(site, loads.app_refreshes), meter.side(site, loads.refreshes, "API")
    )
    yield compared("refresh of an app or of the API", of_app, own)


def proxied(meter: Meter, site: Ours, yes: Server | str = "", database: str = "") -> Row:
    """Measure the answers to a proxy that asks about the requests to an app."""
    checks, others = meter.interleaved(
        meter.side(site, loads.checks, "cookie"), meter.side(yes, loads.checks, "")
    )
    rates = tuple(1 / cost for cost in checks.costs)
    name = f"forward authentication: a request to an app{database}"
    return Row(
        name, checks.token, checks.cell, others.words, rates, 2_000, at_least=True, unit="/s"
    )


def pages(meter: Meter, site: Ours, django: Server | str, flask: Server | str) -> Iterator[Row]:
    page, allauths, flasks = meter.interleaved(
        *(meter.side(server, loads.login_page, "") for server in (site, django, flask))
    )
    yield compared("login page", page, allauths, 6)
    yield compared("login page", page, flasks, 1.5)
    for name, load in (("page of sessions", loads.session_pages), ("sign-up", loads.signups)):
        mine, theirs = meter.interleaved(
            *(meter.side(server, load, "") for server in (site, django))
        )
        yield compared(name, mine, theirs)


def signed_in_pages(meter: Meter, site: Ours) -> Iterator[Row]:
    """Compare pages of a person with a few sessions, and a page of staff, with a hash."""
    paths = {"home": "/", "sessions": loads.SESSIONS, "two-step verification": loads.TWO_STEP}
    of: dict[str, Callable[[Server], loads.Load]]
    of = {name: partial(loads.signed_in, path=path) for name, path in paths.items()}
    of["staff: a person"] = loads.staff_pages
    *sides, one_hash = meter.interleaved(
        *(meter.side(site, load, "") for load in of.values()), meter.hash()
    )
    for name, side in zip(of, sides, strict=True):
        costs = ratios(side, one_hash)
        yield Row(f"page: {name}, to one hash", "", side.cell, one_hash.words, costs)


def at_the_limit(meter: Meter) -> Row:
    """Compare logins that end another session with logins that end none, besides the hash."""
    most = str(loads.FEW_SESSIONS)
    with ours(MAX_SESSIONS=most) as full, ours(MAX_SESSIONS="100000") as free:
        for site in full, free:
            drive(site, loads.first_logins(site), seconds=STORM_SECONDS, connections=1)
        ending, other, one_hash = meter.interleaved(
            *(meter.side(site, partial(loads.logins, people=1)) for site in (full, free)),
            meter.hash(),
        )
    besides = tuple(
        (a - h) / (b - h) for a, b, h in zip(ending.costs, other.costs, one_hash.costs, strict=True)
    )
    name = "login of a person with `MAX_SESSIONS` sessions, to one with fewer, besides Argon2"
    return Row(name, ending.token, ending.cell, other.words, besides, 1.2)


def in_a_storm(meter: Meter, site: Ours) -> Row:
    """Compare the slowest percent of calls during many sign-ins with the time of a hash."""
    # These are more sign-ins than the site hashes at once, so some get status 429.
    storm, me = replace(loads.logins(site), status=(200, 429)), loads.calls(site)

    def slowest() -> float:
        over = threading.Event()
        until = replace(storm, requests=takewhile(lambda _: not over.is_set(), storm.requests))
        with ThreadPoolExecutor(1) as pool:
            sign_ins = pool.submit(drive, site, until, seconds=STORM_SECONDS, connections=STORM)
            try:
                time.sleep(meter.effort.seconds)
                some = replace(me, requests=islice(me.requests, meter.effort.stormy))
                took = drive(site, some, seconds=STORM_SECONDS, connections=1)
            finally:
                over.set()
            sign_ins.result()
        return quantiles(took, n=100)[98]

    calls, one_hash = meter.interleaved(Side(site.name, site.algorithm, slowest), meter.hash())
    total = f"{meter.effort.rounds * meter.effort.stormy:,}"
    name = f"99th percentile of {total} `GET me/` while {STORM} sign in, to one hash"
    milliseconds = f"{number(1e3 * calls.median)} ms"
    words = (site.algorithm, milliseconds, one_hash.words)
    return Row(name, *words, ratios(calls, one_hash), 0.5)


def memory(site: Server, django: Server | str, when: str, goal: float) -> Row:
    """Measure the memory of servers that have nothing to do."""
    time.sleep(REST_SECONDS)
    mine = pss_mib(site.process.pid)
    if isinstance(django, Server):
        django = f"{django.name}: {number(pss_mib(django.process.pid))} MiB"
    name = f"memory {when}, at rest (PSS)"
    return Row(name, "", f"{number(mine)} MiB", django, (mine,), goal, unit=" MiB")


def drive_mixed(site: Ours, number: int) -> None:
    """Send pages, calls, refreshes and sign-ins to an app, a quarter each."""
    for load in loads.session_pages, loads.calls, loads.refreshes, loads.app_sign_ins:
        sent = load(site)
        some = replace(sent, requests=islice(sent.requests, number // 4))
        drive(site, some, seconds=STORM_SECONDS, connections=CONNECTIONS)


def memory_with_sender() -> Row:
    """Measure the memory while a thread looks for ended sessions of an app that hears of them."""
    with ours(hears=True) as site:
        drive(site, loads.calls(site), seconds=REST_SECONDS, connections=CONNECTIONS)
        return memory(site, "", "with an app that has a back-channel logout URI", 125)


def on_postgres(effort: Effort, postgres: Postgres) -> Iterator[Row]:
    """Measure with PostgreSQL, whose processor time counts, too."""
    meter = Meter(effort, (postgres.process.pid,))
    with ExitStack() as stack:
        site = stack.enter_context(ours(postgres.database()))
        equal, default, kept = (
            entered(
                stack,
                peers.STOCK,
                partial(peers.stock, algorithm, postgres.database(), keeps=keeps),
            )
            for algorithm, keeps in (
                (site.algorithm, False),
                (peers.SIMPLEJWT_DEFAULT, False),
                (site.algorithm, True),
            )
        )
        better = entered(stack, peers.BETTER, partial(peers.better_auth, postgres.database()))
        login, stocks, betters = meter.interleaved(
            *(meter.side(server, loads.logins) for server in (site, equal, better))
        )
        yield compared("login, PostgreSQL", login, stocks)
        yield compared("login, PostgreSQL", login, betters, 1.1)
        me, stocks, keeping = meter.interleaved(
            *(meter.side(server, loads.calls) for server in (site, equal, kept))
        )
        yield compared("`GET me/` by access token, PostgreSQL", me, stocks)
        yield compared("`GET me/` by access token, PostgreSQL", me, keeping, 4)
        yield proxied(meter, site, database=", PostgreSQL")
        refresh, *others = meter.interleaved(
            *(meter.side(server, loads.refreshes) for server in (site, equal, default, kept))
        )
        for other, goal in zip(others, (8, 8, 6), strict=True):
            yield compared("refresh with rotation, PostgreSQL", refresh, other, goal)


def among_many(effort: Effort, postgres: Postgres) -> Iterator[Row]:
    """Compare the costs of calls among many people and among few, with PostgreSQL."""
    meter = Meter(effort, (postgres.process.pid,))
    known = effort.known
    with (
        ours(
            postgres.database(), people=effort.people, families=effort.families, known=known
        ) as full,
        ours(postgres.database(), people=effort.few, families=known, known=known) as empty,
    ):
        for name, load in (
            ("`GET me/`", lambda site: loads.calls(site, site.known)),
            ("refresh", lambda site: loads.refreshes(site, site.known)),
            ("login", lambda site: loads.logins(site, site.people)),
        ):
            many, few = meter.interleaved(meter.side(full, load), meter.side(empty, load))
            yield Row(
                f"{name} with {effort.people:,} people and {effort.families:,} sessions, "
                f"to {effort.few:,} people, PostgreSQL",
                full.algorithm,
                many.cell,
                few.words,
                ratios(many, few),
                1.1,
            )

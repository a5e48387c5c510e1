"""How costs are measured.

A cost is processor time in seconds for one request, summed over all processes of a server while
requests flow.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from accounts.passwords.hashers import BUILD, Argon2id
from tests.bench.loads import Load, drive
from tests.bench.servers import PASSWORD, Server
from tests.support.processes import TICKS, cpu_seconds

CONNECTIONS = 4
# The rounds that do not count.
WARMING = 3


def number(value: float) -> str:
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _time(seconds: float) -> str:
    return f"{number(1e3 * seconds)} ms" if seconds >= 1e-3 else f"{number(1e6 * seconds)} µs"


@dataclass(frozen=True)
class Side:
    """One side of a comparison, with its costs in seconds: one for each round.

    `token` says what authorizes the requests, mostly the algorithm that signs it. A side that is
    skipped has no `measure`, and its name says why.
    """

    name: str
    token: str = ""
    measure: Callable[[], float] | None = None
    costs: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """The median, so that a round that was disturbed does not count."""
        return median(self.costs)

    @property
    def cell(self) -> str:
        """The requests per second of one core, and the cost of each; or why it is skipped."""
        if not self.costs:
            return self.name
        return f"{number(1 / self.median)}/s ({_time(self.median)})"

    @property
    def words(self) -> str:
        return f"{self.name}: {self.cell}" if self.costs else self.name


def interleaved(rounds: int, *sides: Side) -> list[Side]:
    """Measure all sides in turn, so that a disturbance of the machine affects each of them.

    The first rounds do not count: in them, caches fill and just-in-time compilers compile.
    """
    all_rounds = [
        [side.measure() for side in sides if side.measure] for _ in range(WARMING + rounds)
    ]
    costs = zip(*all_rounds[WARMING:], strict=True)
    return [replace(side, costs=next(costs)) if side.measure else side for side in sides]


def ratios(one: Side, other: Side) -> tuple[float, ...]:
    """Return the cost of one side relative to the other's in each round; none if one is skipped."""
    return tuple(a / b for a, b in zip(one.costs, other.costs, strict=False))


@dataclass(frozen=True)
class Effort:
    """The number of rounds, the seconds of each load in a round, and the sizes.

    In a storm of sign-ins, a round has `stormy` calls; `mixed` requests come before memory is
    measured. The large database has `people` and
    `families` (API sessions), the small one has `few` people; both have `known` sessions in use.
    """

    rounds: int = 5
    seconds: float = 0.8
    stormy: int = 1_000
    mixed: int = 20_000
    people: int = 100_000
    families: int = 500_000
    few: int = 1_000
    known: int = 2_000


@dataclass(frozen=True)
class Meter:
    """Measures the cost of requests; `also` are the roots of further process trees that count."""

    effort: Effort
    also: tuple[int, ...] = ()

    def side(
        self, server: Server | str, load: Callable[[Server], Load], token: str | None = None
    ) -> Side:
        """Return the measurement of a load, or the reason why `server` is skipped.

        `token` says what the requests are authorized by, if that is not the server's own token.
        """
        if isinstance(server, str):
            return Side(server)
        sent, roots = load(server), (server.process.pid, *self.also)

        def cost() -> float:
            begun = cpu_seconds(*roots)
            took = drive(server, sent, seconds=self.effort.seconds, connections=CONNECTIONS)
            # Linux does not count less than a tick.
            return max(cpu_seconds(*roots) - begun, 1 / TICKS) / len(took)

        return Side(server.name, server.algorithm if token is None else token, cost)

    def interleaved(self, *sides: Side) -> list[Side]:
        return interleaved(self.effort.rounds, *sides)

    def hash(self) -> Side:
        """Return the measurement of one Argon2 verification with the site's parameters.

        As many threads as processors verify. Nothing else may run in this process meanwhile.
        """
        hasher, threads = Argon2id(), os.cpu_count() or 1
        encoded = hasher.encode(PASSWORD, hasher.salt())

        def verify(over: float) -> int:
            done = 0
            while not done or time.perf_counter() < over:
                done += hasher.verify(PASSWORD, encoded)
            return done

        def cost() -> float:
            with ThreadPoolExecutor(threads) as pool:
                begun = time.process_time()
                over = time.perf_counter() + self.effort.seconds
                done = sum(pool.map(verify, [over] * threads))
            return (time.process_time() - begun) / done

        return Side(f"one Argon2 hash ({BUILD})", "", cost)

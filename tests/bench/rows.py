"""A row of the table: what was measured of this site and of its yardstick, round by round."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """A line of the table.

    `values`, one a round, are the ratios or what else is compared with `target`; `ours` and
    `yardstick` are the medians of what they were made of, with their unit.
    """

    name: str
    ours: str
    yardstick: str
    values: tuple[float, ...]
    target: float
    at_least: bool = False
    unit: str = ""

    @property
    def value(self) -> float:
        """The median: a round that others disturbed does not count."""
        return median(self.values)

    @property
    def times(self) -> float:
        """How many times over the target is reached."""
        return self.value / self.target if self.at_least else self.target / max(self.value, 1e-9)

    @property
    def cells(self) -> tuple[str, ...]:
        """As it's shown."""
        spread = ""
        if len(self.values) > 1:
            spread = f" ({number(min(self.values))} to {number(max(self.values))})"
        sense = "≥" if self.at_least else "≤"
        return (
            self.name,
            self.ours,
            self.yardstick,
            f"{number(self.value)}{self.unit}{spread}",
            f"{sense} {number(self.target)}{self.unit}",
            "yes" if self.times >= 1 else "no",
        )


HEAD = ("what", "this site", "yardstick", "ratio (all rounds)", "to reach", "met")


def number(value: float) -> str:
    """Two decimals below ten, one below a hundred."""
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def interleaved(
    rounds: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Both in turn, the first round, which warms them up, aside: what disturbs a machine for a
    while disturbs both."""
    pairs = [(one(), other()) for _ in range(rounds + 1)][1:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def per_second(costs: list[float]) -> str:
    """How many of that cost a second of one core does."""
    return f"{number(1 / median(costs))}/s"


def compared(
    name: str, costs: tuple[list[float], list[float]], target: float, *, yardstick: str
) -> Row:
    """So many times as many of this site's as of the yardstick's, from what each costs."""
    ours, others = costs
    ratios = tuple(b / a for a, b in zip(ours, others, strict=True))
    theirs = f"{yardstick}: {per_second(others)}"
    return Row(name, per_second(ours), theirs, ratios, target, at_least=True)

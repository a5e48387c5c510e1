"""Compute the rows of the table from the measurements, and draw the plot."""

import math
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median

from tests.support.site import ROOT

PAGE = ROOT / "docs/speed.md"
PLOT = ROOT / "docs/images/speed.svg"
BEGIN, END = "<!-- make bench -->", "<!-- end -->"
WIDTH, LINE, BARS = 760, 34, 300
# A bar that just reaches its target takes half of the width; eight times the target fills it.
DECADES = math.log10(8)


@dataclass(frozen=True)
class Row:
    """A line of the table.

    `values` has one value per round, mostly a ratio, which is compared with `target`. `ours` and
    `yardstick` are the medians behind the values, with their unit.
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
        """The median, so that a round that was disturbed does not count."""
        return median(self.values)

    @property
    def times(self) -> float:
        """The value as a multiple of the target; 1 or more means that the target is reached."""
        return self.value / self.target if self.at_least else self.target / max(self.value, 1e-9)

    @property
    def cells(self) -> tuple[str, ...]:
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
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def interleaved(
    rounds: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure both sides in turn, so that a disturbance of the machine affects both.

    The first round warms them up and does not count.
    """
    pairs = [(one(), other()) for _ in range(rounds + 1)][1:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def per_second(costs: list[float]) -> str:
    return f"{number(1 / median(costs))}/s"


def compared(
    name: str, costs: tuple[list[float], list[float]], target: float, *, yardstick: str
) -> Row:
    """Return a row with the throughput of this site relative to the yardstick's."""
    ours, others = costs
    ratios = tuple(b / a for a, b in zip(ours, others, strict=True))
    theirs = f"{yardstick}: {per_second(others)}"
    return Row(name, per_second(ours), theirs, ratios, target, at_least=True)


def table(rows: list[Row]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write(rows: list[Row]) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = names[0] if names else platform.machine()
    machine = f"{os.cpu_count()} cores of {processor}, Python {platform.python_version()}"
    load = f"with a load average of {number(os.getloadavg()[2])}"
    middle = f"{BEGIN}\nMeasured on {machine}, {load}.\n\n{table(rows)}{END}"
    PAGE.write_text(before + middle + rest.partition(END)[2])
    PLOT.write_text(plot(rows))


def plot(rows: list[Row]) -> str:
    """Draw how far each row is from its target, on a logarithmic scale; longer bars are better."""
    height = LINE * (len(rows) + 1)
    bars = "".join(_bar(row, LINE * i) for i, row in enumerate(rows))
    middle = WIDTH - BARS // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{bars}'
        f'<path d="M{middle} 0V{height - LINE}" stroke="#333" stroke-dasharray="4 3"/>\n'
        f'<text x="{middle}" y="{height - 12}" text-anchor="middle">to reach</text>\n</svg>\n'
    )


def _bar(row: Row, top: int) -> str:
    share = 0.5 + math.log10(row.times) / DECADES / 2
    length = round(BARS * min(1.0, max(0.01, share)))
    colour = "#2e7d4f" if row.times >= 1 else "#b3542d"
    words = escape(row.name if len(row.name) < 62 else f"{row.name[:60]}…")
    return (
        f'<text x="8" y="{top + 21}">{words}</text>'
        f'<rect x="{WIDTH - BARS}" y="{top + 8}" width="{length}" height="20" fill="{colour}"/>'
        f'<text x="{WIDTH - BARS + 6}" y="{top + 22}" fill="#fff">'
        f"{number(row.value)}{row.unit}</text>\n"
    )

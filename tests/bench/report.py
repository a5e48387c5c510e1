"""The rows of the table, and the plot."""

import math
import os
import platform
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median

from tests.bench.meter import Side, number, ratios
from tests.support.site import ROOT

PAGE = ROOT / "docs/speed.md"
PLOT = ROOT / "docs/images/speed.svg"
BEGIN, END = "<!-- make bench -->", "<!-- end -->"
WIDTH, LINE, LEFT, BARS = 860, 34, 540, 240
# A bar that just reaches its goal takes half of the width; eight times the goal fills it.
DECADES = math.log10(8)


@dataclass(frozen=True)
class Row:
    """A line of the table.

    `values` has one value for each round, mostly a ratio. Their median should reach `goal`, if
    there is one. `ours` and `yardstick` are the medians behind the values, with their unit.
    """

    name: str
    tokens: str
    ours: str
    yardstick: str
    values: tuple[float, ...]
    goal: float | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def times(self) -> float | None:
        """The median as a multiple of the goal; 1 or more means that the goal is reached."""
        if self.goal is None or not self.values:
            return None
        value = max(median(self.values), 1e-9)
        return value / self.goal if self.at_least else self.goal / value

    @property
    def cells(self) -> tuple[str, ...]:
        sense = "≥" if self.at_least else "≤"
        return (
            self.name,
            self.tokens,
            self.ours,
            self.yardstick,
            self._spread,
            f"{sense} {number(self.goal)}{self.unit}" if self.goal is not None else "",
            "" if self.times is None else "yes" if self.times >= 1 else "no",
        )

    @property
    def _spread(self) -> str:
        if not self.values:
            return "skipped"
        least, middle, most = map(number, (min(self.values), median(self.values), max(self.values)))
        return f"{middle}{self.unit}" + (f" ({least} to {most})" if len(self.values) > 1 else "")


HEAD = ("what", "tokens", "this site", "yardstick", "ratio (all rounds)", "goal", "met")


def compared(name: str, ours: Side, theirs: Side, goal: float | None = None) -> Row:
    """Return a row with the throughput of this site relative to the yardstick's.

    The sides use the same kind of token, unless the row says that they are at their defaults.
    """
    is_equal = ours.token == theirs.token or not (ours.costs and theirs.costs)
    tokens = ours.token if is_equal else f"defaults: {ours.token} / {theirs.token}"
    ratio = ratios(theirs, ours)
    return Row(name, tokens, ours.cell, theirs.words, ratio, goal, at_least=True)


def table(rows: list[Row]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write(rows: list[Row], rounds: int) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = names[0] if names else platform.machine()
    machine = f"{os.cpu_count()} cores of {processor}, Python {platform.python_version()}"
    load = f"with a load average of {number(os.getloadavg()[2])}"
    middle = f"{BEGIN}\nMeasured in {rounds} rounds on {machine}, {load}.\n\n{table(rows)}{END}"
    PAGE.write_text(before + middle + rest.partition(END)[2])
    PLOT.write_text(plot(rows))


def plot(rows: list[Row]) -> str:
    """Draw how far each row is from its goal, on a logarithmic scale; longer bars are better."""
    with_goal = [(row, times) for row in rows if (times := row.times) is not None]
    height = LINE * (len(with_goal) + 1)
    bars = "".join(_bar(row, times, LINE * i) for i, (row, times) in enumerate(with_goal))
    middle = LEFT + BARS // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{bars}'
        f'<path d="M{middle} 0V{height - LINE}" stroke="#333" stroke-dasharray="4 3"/>\n'
        f'<text x="{middle}" y="{height - 12}" text-anchor="middle">goal</text>\n</svg>\n'
    )


def _bar(row: Row, times: float, top: int) -> str:
    share = 0.5 + math.log10(times) / DECADES / 2
    length = round(BARS * min(1.0, max(0.01, share)))
    colour = "#2e7d4f" if times >= 1 else "#b3542d"
    peer = row.yardstick.partition(":")[0]
    words = f"{row.name} / {peer}" if row.at_least and peer else row.name
    words = f"{words}, defaults" if row.tokens.startswith("defaults") else words
    return (
        f'<text x="8" y="{top + 21}">{escape(words.replace("`", ""))}</text>'
        f'<rect x="{LEFT}" y="{top + 8}" width="{length}" height="20" fill="{colour}"/>'
        f'<text x="{LEFT + length + 6}" y="{top + 22}" fill="#333">'
        f"{number(median(row.values))}{row.unit}</text>\n"
    )

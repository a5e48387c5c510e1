"""Plots of counts as stacked columns, which a template draws as SVG without scripts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

HEIGHT = 100
WIDTH = 8  # of a column
PITCH = 10  # from one column to the next


class Span(StrEnum):
    """The time that one column stands for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


SPANS: dict[Span, str | Promise] = {
    Span.DAY: _("By day"),
    Span.WEEK: _("By week"),
    Span.MONTH: _("By month"),
}
COLUMNS = {Span.DAY: 14, Span.WEEK: 12, Span.MONTH: 12}


@dataclass(frozen=True)
class Series:
    """Numbers that are drawn in one colour. ``path``: the SVG path of their boxes."""

    label: str
    total: int
    path: str


@dataclass(frozen=True)
class Plot:
    """A plot.

    ``columns``: the label of each column, and its numbers in the order of ``series``.
    ``top``: the label of the top of the drawing.
    """

    key: str
    title: str | Promise
    series: Sequence[Series]
    columns: Sequence[tuple[str, Sequence[int]]]
    top: int | str

    @property
    def width(self) -> int:
        """The width of the drawing, in its own units."""
        return PITCH * len(self.columns)

    @property
    def total(self) -> int:
        """The sum of all numbers."""
        return sum(series.total for series in self.series)


def starts(span: Span, today: date) -> list[date]:
    """Return the first days of the last columns, oldest first. The last one contains ``today``."""
    first = today
    if span is Span.WEEK:
        first = today - timedelta(days=today.weekday())
    if span is Span.MONTH:
        first = today.replace(day=1)
    found = [first]
    while len(found) < COLUMNS[span]:
        before = found[-1] - timedelta(days=7 if span is Span.WEEK else 1)
        found.append(before.replace(day=1) if span is Span.MONTH else before)
    return found[::-1]


def over_time(
    key: str,
    title: str | Promise,
    days: Sequence[date],
    numbers: Mapping[tuple[date, str], int],
) -> Plot:
    """Return a plot over time.

    ``days``: the first days of the columns, as :func:`starts` returns them.
    ``numbers``: the number of each series on each day, by the day and the label of the series.
    """
    ends = [*days[1:], date.max]
    columns: list[Counter[str]] = [Counter() for _day in days]
    for (day, label), number in numbers.items():
        for column, start, end in zip(columns, days, ends, strict=True):
            if start <= day < end:
                column[label] += number
    return stacked(key, title, [(label_of(day), c) for day, c in zip(days, columns, strict=True)])


def stacked(
    key: str,
    title: str | Promise,
    columns: Iterable[tuple[str, Mapping[str, int]]],
    *,
    is_share: bool = False,
) -> Plot:
    """Return a plot of ``columns``: the label of each column, and the numbers by series.

    ``is_share``: whether all columns are equally high, because they show percentages.
    """
    columns = list(columns)
    sums: Counter[str] = Counter()
    for _name, numbers in columns:
        sums.update(numbers)
    legend = list(sums.items()) if is_share else sums.most_common()
    rows = [(name, [numbers.get(label, 0) for label, _sum in legend]) for name, numbers in columns]
    top = max((sum(numbers) for _name, numbers in rows), default=0)
    series = [
        Series(
            label, total, _path([numbers for _name, numbers in rows], place, 0 if is_share else top)
        )
        for place, (label, total) in enumerate(legend)
    ]
    return Plot(key, title, series, rows, "100 %" if is_share else top)


def _path(columns: Sequence[Sequence[int]], place: int, top: int) -> str:
    """Return the path of the boxes of the series at ``place``.

    ``top``: the number at the top of the drawing, or 0 if each column reaches the top.
    """
    boxes = []
    for column, numbers in enumerate(columns):
        scale = HEIGHT / (top or sum(numbers) or 1)
        below, height = sum(numbers[:place]) * scale, numbers[place] * scale
        if height:
            start = f"M{column * PITCH} {HEIGHT - below:.1f}"
            boxes.append(f"{start}h{WIDTH}v-{height:.1f}h-{WIDTH}z")
    return "".join(boxes)


def label_of(day: date) -> str:
    """Return the date as the plots show it."""
    return date_format(day, "SHORT_DATE_FORMAT")

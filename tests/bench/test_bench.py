"""`make bench` in small numbers."""

import math

import pytest

from tests.bench import report
from tests.bench.__main__ import rows
from tests.bench.meter import Effort, Side, interleaved
from tests.bench.report import Row, compared

LITTLE = Effort(rounds=1, seconds=0.1, stormy=10, people=60, families=200, few=20, known=20)


def test_sides_are_measured_in_turn_and_the_first_round_does_not_count():
    order: list[str] = []

    def side(name):
        def measure():
            order.append(name)
            return len(order)

        return Side(name, measure=measure)

    a, absent, b = interleaved(2, side("a"), Side("c: skipped"), side("b"))

    assert order == ["a", "b"] * 3
    assert (a.costs, absent.costs, b.costs) == ((3, 5), (), (4, 6))


def test_a_row_names_the_algorithms_and_says_defaults_if_they_differ():
    ours = Side("this site", "ES256", costs=(0.001, 0.002, 0.001))
    equal = Side("a", "ES256", costs=(0.004, 0.002, 0.005))
    other = Side("b", "HS256", costs=(0.001, 0.001, 0.001))

    assert compared("x", ours, equal, 4).cells == (
        "x",
        "ES256",
        "1,000/s (1.00 ms)",
        "a: 250/s (4.00 ms)",
        "4.00 (1.00 to 5.00)",
        "≥ 4.00",
        "yes",
    )
    assert compared("x", ours, other, 4).cells[1] == "defaults: ES256 / HS256"
    assert compared("x", ours, other, 4).cells[-1] == "no"
    skipped = compared("x", ours, Side("c: skipped, Node is not installed"), 4)
    assert skipped.cells[3:] == ("c: skipped, Node is not installed", "skipped", "≥ 4.00", "")


def test_rows_are_written_into_the_page_and_the_plot(tmp_path, monkeypatch):
    page, image = tmp_path / "speed.md", tmp_path / "speed.svg"
    page.write_text(f"before {report.BEGIN} old {report.END} after")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "PLOT", image)

    with_goal = Row("a <b>", "", "", "", (1, 5, 6), 4)
    report.write([with_goal, Row("no goal", "", "", "", (1,))], rounds=3)

    text = page.read_text()
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "Measured in 3 rounds on " in text
    assert "| 5.00 (1.00 to 6.00) | ≤ 4.00 | no |" in text
    assert "old" not in text
    assert "a &lt;b&gt;" in image.read_text()
    assert "no goal" not in image.read_text()


@pytest.mark.proof
@pytest.mark.alone
def test_every_row_of_the_table_can_be_measured():
    """The values mean little with so few people, but every answer is checked on the way."""
    measured = list(rows(LITTLE))

    assert len(measured) == 27
    assert all(math.isfinite(value) and value > 0 for row in measured for value in row.values)

"""`make bench` in small numbers."""

import math
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.__main__ import rows
from tests.bench.measures import Effort, cpu_seconds, peak_mib
from tests.bench.report import Row, interleaved
from tests.support.process import Process

LITTLE = Effort(1, 2, 3, 3, 2, 2, 1, people=40, families=200, few=20)


def test_cpu_time_of_children_counts_while_they_run_and_after_they_end(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < .3: pass\n"
    shell = f"{shlex.quote(sys.executable)} -c '{burn}'; touch done; exec sleep 60"
    process = Process(["sh", "-c", shell], tmp_path / "log", cwd=tmp_path)
    try:
        process.wait_until((tmp_path / "done").exists, "The child")
        assert 0.25 < cpu_seconds(process.pid) < 5
        assert 0 < peak_mib(process.pid) < 100
        assert cpu_seconds(os.getpid()) >= cpu_seconds(process.pid)
    finally:
        process.stop()


def test_measurements_become_rows_of_a_table_and_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def note(side: str) -> float:
        order.append(side)
        return len(order)

    # The sides are measured in turn, and the first round does not count.
    assert interleaved(2, lambda: note("a"), lambda: note("b")) == ([3, 5], [4, 6])
    assert order == ["a", "b"] * 3
    least = Row("a <b>", "1/s", "x: 2/s", (1, 5, 6), 4, at_least=True)
    most = Row("b", "", "", (1, 5, 6), 4)

    page, image = tmp_path / "speed.md", tmp_path / "speed.svg"
    page.write_text(f"before {report.BEGIN} old {report.END} after")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "PLOT", image)
    report.write([least, most])

    text = page.read_text()
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "| a <b> | 1/s | x: 2/s | 5.00 (1.00 to 6.00) | ≥ 4.00 | yes |" in text
    assert "| 5.00 (1.00 to 6.00) | ≤ 4.00 | no |" in text
    assert "old" not in text
    assert "a &lt;b&gt;" in image.read_text()


@pytest.mark.proof
@pytest.mark.alone
def test_every_row_of_the_table_can_be_measured() -> None:
    """The values mean little with so few people, but every answer is checked on the way."""
    measured = list(rows(LITTLE))

    assert len({row.name for row in measured}) == 11
    assert all(math.isfinite(row.value) and row.value >= 0 for row in measured)
    one = next(row for row in measured if row.name.startswith("different successors"))
    assert one.times >= 1

"""``make bench``: print the table of measurements, and with ``--write`` put it into ``docs/``."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.bench import report
from tests.bench.measures import Effort, among_many, on_postgres, on_sqlite, starting
from tests.bench.report import Row
from tests.support.services import Postgres


def rows(effort: Effort) -> Iterator[Row]:
    yield from starting(effort)
    yield from on_sqlite(effort)
    try:
        postgres = Postgres()
    except pytest.skip.Exception as reason:
        yield Row("all measurements with PostgreSQL", "", "skipped", str(reason), ())
        return
    with postgres:
        yield from on_postgres(effort, postgres)
        yield from among_many(effort, postgres)


def main() -> None:
    options = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    options.add_argument("--write", action="store_true", help="write docs/speed.md and its plot")
    options.add_argument(
        "--full", action="store_true", help="use a million people and five million sessions"
    )
    asked = options.parse_args()
    effort = replace(Effort(), people=1_000_000, families=5_000_000) if asked.full else Effort()
    measured: list[Row] = []
    for row in rows(effort):
        measured.append(row)
        sys.stderr.write(f"{' | '.join(row.cells)}\n")
    sys.stdout.write(report.table(measured))
    if asked.write:
        report.write(measured, effort.rounds)


if __name__ == "__main__":
    main()

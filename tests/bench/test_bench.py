"""`make bench` in small numbers."""

import math

import pytest

from tests.bench.__main__ import rows
from tests.bench.meter import Effort

LITTLE = Effort(
    rounds=1, seconds=0.1, stormy=10, mixed=40, people=60, families=200, few=20, known=20
)


@pytest.mark.proof
@pytest.mark.alone
def test_every_row_of_the_table_can_be_measured():
    """The values mean little with so few people, but every answer is checked on the way."""
    measured = list(rows(LITTLE))

    assert len(measured) == 39
    assert all(math.isfinite(value) and value > 0 for row in measured for value in row.values)

"""Runs each race of the other files fifty times, at two processes on PostgreSQL."""

import pytest

from tests.attacks import (
    test_dispute_races,
    test_lookalikes,
    test_passkey_races,
    test_recovery_races,
    test_refresh_races,
    test_second_factor_races,
    test_session_races,
)
from tests.attacks.test_session_races import Race
from tests.attacks.test_two_nodes import running
from tests.support.services import Postgres

RACES = [
    *test_session_races.RACES,
    *test_recovery_races.RACES,
    *test_second_factor_races.RACES,
    *test_refresh_races.RACES,
    *test_passkey_races.RACES,
    *test_dispute_races.RACES,
    *test_lookalikes.RACES,
]


@pytest.mark.proof
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_fifty_rounds_of_each_race_on_postgresql(race: Race, postgres: Postgres) -> None:
    with running(LIMITS_SCALE="1000", DATABASE_URL=postgres.database()) as both:
        for i in range(50):
            race(both, f"round{i:02}x")

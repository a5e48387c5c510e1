"""Runs each race of the other files fifty times, at two processes on PostgreSQL."""

import pytest

from tests.attacks import (
    test_api_act_races,
    test_api_key_races,
    test_app_races,
    test_deletion_races,
    test_dispute_races,
    test_lookalikes,
    test_passkey_races,
    test_recovery_races,
    test_refresh_races,
    test_second_factor_races,
    test_session_races,
    test_staff_races,
    test_two_nodes,
)
from tests.support.nodes import round_names, running

RACES = [
    *test_session_races.RACES,
    *test_recovery_races.RACES,
    *test_second_factor_races.RACES,
    *test_refresh_races.RACES,
    *test_passkey_races.RACES,
    *test_dispute_races.RACES,
    *test_lookalikes.RACES,
    *test_two_nodes.RACES,
    *test_api_key_races.RACES,
    *test_staff_races.RACES,
    *test_app_races.RACES,
    *test_deletion_races.RACES,
    *test_api_act_races.RACES,
]


@pytest.fixture(scope="module")
def nodes(postgres):
    """Two server processes on one PostgreSQL database, without limits, for all rounds."""
    with running(LIMITS_SCALE="100000", DATABASE_URL=postgres.database()) as both:
        yield both


@pytest.mark.proof
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_fifty_rounds_of_each_race_on_postgresql(race, nodes):
    """Withstands a race: each of them fifty times."""
    for name in round_names(RACES.index(race)):
        race(nodes, name)

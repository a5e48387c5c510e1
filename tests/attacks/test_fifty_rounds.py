"""Runs each race of the other files fifty times, at two processes on PostgreSQL."""

from importlib import import_module

import pytest

from tests.support.nodes import round_names, running

FILES = (
    *("session_races", "recovery_races", "second_factor_races", "refresh_races", "passkey_races"),
    *("dispute_races", "lookalikes", "two_nodes", "api_key_races", "staff_races", "app_races"),
    *("deletion_races", "api_act_races"),
)
RACES = [race for name in FILES for race in import_module(f"tests.attacks.test_{name}").RACES]


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

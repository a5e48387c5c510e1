"""The test that ``forks.py`` runs before the forks, to set the database up. It starts no thread."""

import pytest


@pytest.mark.django_db
def test_the_database_is_set_up() -> None:
    pass

"""Fixtures for tests of external providers."""

import pytest

from tests.support.doubles import CREDENTIALS, Doubles
from tests.support.social import configured


@pytest.fixture(scope="session")
def _doubles(tmp_path_factory):
    with Doubles(tmp_path_factory.mktemp("doubles")) as doubles:
        yield doubles


@pytest.fixture
def doubles(_doubles, settings, monkeypatch):
    """The doubles of Google, GitHub, Facebook and X, with all of them configured."""
    configured(settings, **CREDENTIALS)
    _doubles.reset()
    _doubles.stand_in(monkeypatch)
    return _doubles

"""Fixtures for tests of tokens."""

import pytest

from accounts.tokens import keyring
from tests.support.signin import configure

__all__ = ["configure"]


@pytest.fixture(autouse=True)
def only_access_tokens(monkeypatch):
    """Sign nothing but access tokens."""
    monkeypatch.setattr(keyring, "FURTHER", [])

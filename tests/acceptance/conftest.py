"""Fixtures for the acceptance tests."""

import pytest

from tests.support.signin import configure
from tests.support.steps import make_user, sign_in

__all__ = ["configure"]


@pytest.fixture
def alice(db, client, clock):
    """Alice, who is signed in with ``client`` by her password and has no second factor."""
    alice = make_user("alice")
    sign_in(client, "alice")
    return alice

"""Fixtures for the acceptance tests."""

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.signin import Clock, configure
from tests.support.steps import make_user, sign_in

__all__ = ["configure"]


@pytest.fixture
def alice(db: None, client: Client, clock: Clock) -> User:
    """Alice, who is signed in with ``client`` by her password and has no second factor."""
    alice = make_user("alice")
    sign_in(client, "alice")
    return alice

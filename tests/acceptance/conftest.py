"""Fixtures for the acceptance tests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.users.models import User
from tests.conftest import Clock
from tests.support.signin import set_up
from tests.support.steps import make_user, sign_in

type Set = Callable[..., None]


@pytest.fixture
def configure(settings: Any) -> Set:
    """Return a function that changes settings of the site by name."""

    def configure(**changes: Any) -> None:
        set_up(settings, **changes)

    return configure


@pytest.fixture
def alice(db: None, client: Client, clock: Clock) -> User:
    """Alice, who is signed in with ``client`` by her password and has no second factor."""
    alice = make_user("alice")
    sign_in(client, "alice")
    return alice

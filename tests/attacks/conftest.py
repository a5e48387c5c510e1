"""Fixtures that the attack tests share."""

import pytest
from django.test import Client

from accounts.users.models import User
from tests.attacks.dispute_steps import known_browser
from tests.conftest import Clock
from tests.support.steps import make_user


@pytest.fixture
def home(clock: Clock) -> Client:
    """A signed-out browser that alice's account has known for two months."""
    browser = known_browser(make_user("alice"))
    clock.advance(days=60)
    return browser


@pytest.fixture
def alice(clock: Clock) -> User:
    """Alice, a year after she signed up."""
    user = make_user("alice")
    clock.advance(days=365)
    return user

"""A person, and a member of staff who acts on the person's account."""

import pytest
from django.test import Client

from accounts.users.models import User
from tests.support.administration import desk
from tests.support.steps import make_user


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def carol(db: None) -> Client:
    """The browser of carol, who is in the group Support."""
    return desk("Support")

"""The person of these tests, and a browser in which she is signed in."""

import pytest

from tests.support.signin import signed_in
from tests.support.steps import make_user


@pytest.fixture
def alice(db):
    return make_user("alice", display_name="Alice Liddell")


@pytest.fixture
def browser(alice):
    """A browser in which alice is signed in with her password."""
    return signed_in(alice)

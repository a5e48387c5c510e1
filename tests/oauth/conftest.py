"""The person of these tests."""

import pytest

from tests.support.steps import make_user


@pytest.fixture
def alice(db):
    return make_user("alice", display_name="Alice Liddell")

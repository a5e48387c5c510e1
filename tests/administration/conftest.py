"""A person, and a member of staff who acts on the person's account."""

import pytest

from tests.support.administration import desk


@pytest.fixture
def carol(db):
    """The browser of carol, who is in the group Support."""
    return desk("Support")

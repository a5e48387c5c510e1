"""Fixtures of the tests of activity."""

from typing import Any

import pytest

from accounts.users import services as users
from accounts.users.models import User
from tests.activity.steps import SECOND, Scene, firefox, iphone, sent
from tests.conftest import Clock
from tests.support.steps import confirm, sign_in, sign_up


@pytest.fixture
def scene(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Scene:
    here, there = firefox(), iphone()
    sign_up(here, "alice")
    assert confirm(here, "alice").url == "/"
    alice = User.objects.get()
    users.confirm_address(alice, SECOND)
    # Hers for as long as the account, so that no lockdown doubts it.
    alice.addresses.update(confirmed_at=alice.date_joined)
    sign_in(there, "alice")
    sent().clear()
    return Scene(settings, monkeypatch, clock, here, there)

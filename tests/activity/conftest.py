"""Fixtures of the tests of activity."""

from typing import Any

import pytest

from accounts.users import services as users
from accounts.users.models import User
from tests.acceptance.steps import confirm, sign_in, sign_up
from tests.activity.steps import Scene, firefox, iphone, sent


@pytest.fixture
def scene(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Scene:
    here, there = firefox(), iphone()
    sign_up(here, "alice")
    assert confirm(here, "alice").url == "/"
    users.confirm_address(User.objects.get(), "alice@second.example")
    sign_in(there, "alice")
    sent().clear()
    return Scene(settings, monkeypatch, here, there)

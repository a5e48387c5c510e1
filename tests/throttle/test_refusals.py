"""Refusals of limits are counted, without a write for each."""

import pytest
from django.test import Client

from accounts.throttle.limits import LOGIN_SUBSCRIBER
from accounts.throttle.models import Refusals
from tests.support.clock import Clock
from tests.support.steps import WRONG, make_user, sign_in


@pytest.mark.django_db
def test_refusals_are_written_at_most_every_five_seconds_and_none_is_lost(clock: Clock) -> None:
    make_user("alice")
    clock.advance(minutes=5)
    for _ in range(LOGIN_SUBSCRIBER.burst + 4):
        sign_in(Client(), "alice", WRONG)
    written = sum(Refusals.objects.filter(limit="login.line").values_list("count", flat=True))
    assert written == 1, "the first at once"

    clock.advance(seconds=6)
    sign_in(Client(), "alice", WRONG)

    assert Refusals.objects.get(limit="login.line").count == 5

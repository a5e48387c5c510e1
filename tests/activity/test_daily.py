"""Daily counts of events and of refusals: exact, once, and only when a day is over."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from accounts.activity import daily
from accounts.activity.daily import Kind
from accounts.activity.models import Activity, DailyCount
from accounts.throttle import services as throttle
from accounts.throttle.models import Refusals
from tests.support.site import together
from tests.support.steps import make_user

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


def events(user, at, kind, proof="", number=1):
    Activity.objects.bulk_create(
        Activity(user=user, kind=kind, proof=proof, at=at) for _ in range(number)
    )


def counted():
    return Counter(daily.counts(NOON.date() - timedelta(days=30)))


def test_a_day_is_counted_once_when_it_is_over_and_the_days_after_it_are_counted_live(clock):
    clock.set(NOON)
    alice, yesterday = make_user("alice"), NOON - timedelta(days=1)
    events(alice, yesterday, "signed_in", "pwd otp", 3)
    events(None, yesterday, "sign_in_failed", number=2)
    events(alice, NOON, "signed_in", "passkey", 4)
    expected = {
        (yesterday.date(), Kind("signed_in", "pwd", True)): 3,
        (yesterday.date(), Kind("sign_in_failed", "", False)): 2,
        (NOON.date(), Kind("signed_in", "passkey", True)): 4,
    }
    assert counted() == expected

    for _ in range(2):
        call_command("prune")
        assert counted() == expected
    assert {row.day for row in DailyCount.objects.all()} == {yesterday.date()}

    Activity.objects.all().delete()
    assert counted() == {key: n for key, n in expected.items() if key[0] == yesterday.date()}


def test_a_day_is_not_counted_before_its_last_transactions_have_ended(clock):
    alice = make_user("alice")
    events(alice, NOON, "signed_in", "pwd")
    clock.set(datetime(2026, 5, 21, 0, 30, tzinfo=UTC))
    daily.count_days()
    assert not DailyCount.objects.exists()

    events(alice, NOON, "signed_in", "pwd")
    clock.advance(hours=1)
    daily.count_days()

    assert DailyCount.objects.get().count == 2


def test_counts_are_deleted_after_400_days(clock):
    clock.set(NOON)
    events(make_user("alice"), NOON, "signed_in", "pwd")
    throttle.note(["login.line"])
    throttle.write()
    of_events = DailyCount.objects.exclude(event__in=daily.ACCOUNTS)

    for days, left in ((399, 1), (2, 0)):
        clock.advance(days=days)
        call_command("prune")
        assert (of_events.count(), Refusals.objects.count()) == (left, left)


@pytest.mark.django_db(transaction=True)
def test_simultaneous_daily_jobs_and_processes_count_everything_once(clock):
    clock.set(NOON)
    events(make_user("alice"), NOON - timedelta(days=2), "signed_in", "pwd", 5)

    together(4, lambda _: daily.count_days())
    together(8, lambda _: (throttle.note(["login.line"]), throttle.write()))

    assert [row.count for row in DailyCount.objects.all()] == [5]
    assert Refusals.objects.get().count == 8

"""The overview: it counts exactly, stays cheap, and shows numbers but no people."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.activity.models import Activity
from accounts.administration.overview_views import Plot, Span, plots, starts
from accounts.mail.models import OutgoingMail
from accounts.mail.services import Queue
from accounts.throttle.models import Refusals
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user

OVERVIEW = "/admin/accounts/dailycount/"
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


def events(user: User | None, at: datetime, kind: str, proof: str = "", number: int = 1) -> None:
    Activity.objects.bulk_create(
        Activity(user=user, kind=kind, proof=proof, at=at) for _ in range(number)
    )


def plot(key: str, span: Span = Span.DAY) -> Plot:
    return next(each for each in plots(span) if each.key == key)


def legend(key: str) -> dict[str, int]:
    return {series.label: series.total for series in plot(key).series}


@pytest.mark.django_db
def test_the_plots_name_methods_reasons_limits_and_shares(clock: Clock) -> None:
    clock.set(NOON)
    alice, bob = make_user("alice"), make_user("bob")
    enrolled(bob)
    make_staff("carol")
    for kind, proof, user in (
        ("signed_in", "pwd otp", alice),
        ("client_signed_in_new", "pwd", alice),
        ("signed_in_new", "passkey", alice),
        ("signed_in", "fed", alice),
        ("signed_up", "", alice),
        ("sign_in_failed", "", alice),
        ("sign_in_failed", "", None),
        ("factor_failed", "pwd", alice),
        ("password_changed", "pwd", alice),
    ):
        events(user, NOON, kind, proof)
    Refusals.objects.create(day=NOON.date(), limit="factor.account", count=7)
    for queue, age in ((Queue.MEMBERS, 2), (Queue.STRANGERS, 0)):
        OutgoingMail.objects.create(queue=queue, created_at=NOON - timedelta(days=age))

    assert legend("sign-ins") == {"Password": 2, "Passkey": 1, "Another site": 1}
    assert legend("sign-ups") == {"New accounts": 1}
    assert legend("blocked") == {"Codes": 7}
    assert legend("failures") == {
        "Wrong password or passkey": 1,
        "Unknown account": 1,
        "Second step": 1,
    }
    assert plot("protection").columns == [("People", [0, 1, 1]), ("Staff", [0, 1, 0])]
    ages = {label: sum(numbers) for label, numbers in plot("mail").columns}
    assert ages == {"Under a minute": 1, "Under an hour": 0, "Under a day": 0, "Longer": 1}


def test_columns_begin_on_days_mondays_and_the_first_of_months() -> None:
    today = NOON.date()

    assert [str(day) for day in starts(Span.DAY, today)[-2:]] == ["2026-05-19", "2026-05-20"]
    assert [str(day) for day in starts(Span.WEEK, today)[-2:]] == ["2026-05-11", "2026-05-18"]
    months = [str(day) for day in starts(Span.MONTH, today)]
    assert (months[0], months[-2], months[-1]) == ("2025-06-01", "2026-04-01", "2026-05-01")


@pytest.mark.django_db
def test_the_page_has_one_query_a_plot_names_nobody_and_is_for_staff_with_the_right(
    clock: Clock,
) -> None:
    clock.set(NOON)
    alice, carol = make_user("alice"), make_user("carol", is_staff=True)
    carol.groups.add(Group.objects.get(name="Auditor"))
    browser, plain = signed_in(carol), signed_in(make_user("erin", is_staff=True))
    assert plain.get(OVERVIEW).status_code == 403
    assert signed_in(alice).get(OVERVIEW).status_code == 302

    def queries(by: str) -> int:
        with CaptureQueriesContext(connection) as found:
            page = browser.get(OVERVIEW, {"by": by}).text
        assert re.search(r"alice|example\.org|127\.0\.0\.1", page) is None
        tables = "dailycount|accounts_activity|refusals|outgoingmail|passkey"
        return sum(bool(re.search(f'FROM "accounts_({tables})', q["sql"])) for q in found)

    call_command("prune")
    few = queries("day")
    for day in range(40):
        events(alice, NOON - timedelta(days=day), "signed_in", "pwd", 3)
    call_command("prune")

    assert [queries(by) for by in ("day", "week", "month", "nonsense")] == [few] * 4
    assert few <= 6


@pytest.mark.django_db
def test_accounts_with_a_factor_are_counted_once_a_day(clock: Clock) -> None:
    clock.set(NOON)
    enrolled(make_user("alice"))
    make_user("bob")
    call_command("prune")
    enrolled(make_user("erin"))
    assert plot("protection").columns[0] == ("People", [0, 1, 1])
    assert str(plot("protection").title).endswith("19 May 2026")

    clock.advance(days=1)
    call_command("prune")
    call_command("prune")

    assert plot("protection").columns[0] == ("People", [0, 2, 1])

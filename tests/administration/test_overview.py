"""What staff see."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.activity.models import Activity
from accounts.administration.overview_views import Span, plots, starts
from accounts.administration.search import STATES
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.mail.services import Queue
from accounts.recovery.models import Recovery
from accounts.throttle.models import Refusals
from tests.support.administration import LIST, desk, page_of
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user, sign_up

OVERVIEW = "/admin/accounts/dailycount/"
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


def events(user, at, kind, proof="", number=1):
    Activity.objects.bulk_create(
        Activity(user=user, kind=kind, proof=proof, at=at) for _ in range(number)
    )


def plot(key, span=Span.DAY):
    return next(each for each in plots(span) if each.key == key)


def legend(key):
    return {series.label: series.total for series in plot(key).series}


def test_the_plots_name_methods_reasons_limits_and_shares(clock):
    clock.set(NOON)
    alice, bob = make_user("alice"), make_user("bob")
    enrolled(bob)
    make_staff("carol")
    for kind, proof in (
        *(("signed_in", "pwd otp"), ("client_signed_in_new", "pwd"), ("signed_in_new", "passkey")),
        *(("signed_in", "fed"), ("signed_up", ""), ("sign_in_failed", "")),
        *(("factor_failed", "pwd"), ("password_changed", "pwd")),
    ):
        events(alice, NOON, kind, proof)
    events(None, NOON, "sign_in_failed")
    Refusals.objects.create(day=NOON.date(), limit="factor.account", count=7)
    for queue, age in ((Queue.CODES, 2), (Queue.STRANGERS, 0)):
        OutgoingMail.objects.create(queue=queue, created_at=NOON - timedelta(days=age))

    assert legend("sign-ins") == {"Password": 2, "Passkey": 1, "Another site": 1}
    assert legend("sign-ups") == {"New accounts": 1}
    assert legend("blocked") == {"Codes": 7}
    failures = {"Wrong password or passkey": 1, "Unknown account": 1, "Second step": 1}
    assert legend("failures") == failures
    assert plot("protection").columns == [("People", [0, 1, 1]), ("Staff", [0, 1, 0])]
    assert plot("protection").rows == [("People", 1, 2), ("Staff", 1, 1)]
    ages = {label: sum(numbers) for label, numbers in plot("mail").columns}
    assert ages == {"Under a minute": 1, "Under an hour": 0, "Under a day": 0, "Longer": 1}


def test_totals_are_compared_with_the_time_before(clock):
    clock.set(NOON)
    alice = make_user("alice")
    events(alice, NOON, "signed_in", "pwd", 3)
    events(alice, NOON - timedelta(days=14), "signed_in", "pwd", 4)
    call_command("prune", stdout=StringIO())

    sign_ins = plot("sign-ins")
    assert (sign_ins.total, sign_ins.before, sign_ins.change) == (3, 4, "-25")
    assert plot("sign-ups").change == ""
    assert plot("sign-ins", Span.MONTH).total == 7
    assert plot("sign-ins", Span.MONTH).change == ""


def test_lost_emails_and_unconfirmed_sign_ups_are_plotted(clock):
    clock.set(NOON)
    for failure in ("", "expired", "SMTPRecipientsRefused", "SMTPDataError"):
        MailReceipt.objects.create(id=uuid4(), created_at=NOON, done_at=NOON, failure=failure)
    sign_up(Client(), "alice")

    assert legend("lost") == {
        "Expired before it could be sent": 1,
        "Refused by the mail server": 1,
        "Couldn’t be delivered": 1,
    }
    assert plot("unconfirmed").columns == [("23 May 2026", [1])]


def test_columns_begin_on_days_mondays_and_the_first_of_months():
    today = NOON.date()

    assert [str(day) for day in starts(Span.DAY, today, 14)[-2:]] == ["2026-05-19", "2026-05-20"]
    assert [str(day) for day in starts(Span.WEEK, today, 12)[-2:]] == ["2026-05-11", "2026-05-18"]
    months = [str(day) for day in starts(Span.MONTH, today, 12)]
    assert (months[0], months[-2], months[-1]) == ("2025-06-01", "2026-04-01", "2026-05-01")


def test_the_page_names_nobody_and_is_for_staff_with_the_right(clock):
    clock.set(NOON)
    alice, browser = make_user("alice"), desk("Auditor")
    assert signed_in(make_user("erin", is_staff=True)).get(OVERVIEW).status_code == 403
    assert signed_in(alice).get(OVERVIEW).status_code == 302
    events(alice, NOON - timedelta(days=1), "signed_in", "pwd", 3)
    call_command("prune")

    for by in ("day", "week", "month", "nonsense"):
        page = browser.get(OVERVIEW, {"by": by})
        assert page.status_code == 200
        assert re.search(r"alice|example\.org|127\.0\.0\.1", page.text) is None


def test_accounts_with_a_factor_are_counted_once_a_day(clock):
    clock.set(NOON)
    enrolled(make_user("alice"))
    make_user("bob")
    call_command("prune")
    enrolled(make_user("erin"))
    assert plot("protection").columns[0] == ("People", [0, 1, 1])

    clock.advance(days=1)
    call_command("prune")
    call_command("prune")

    assert plot("protection").columns[0] == ("People", [0, 2, 1])


def test_the_first_page_has_a_search_what_needs_somebody_and_the_areas():
    recovering, disputed, browser = make_user("alice"), make_user("bob"), desk("Superuser")
    assert "Nothing at the moment." in browser.get("/admin/").text
    at = {"asked_at": timezone.now(), "asked": [["mailbox", "a"]]}
    Recovery.objects.create(user=recovering, **at)
    at = {"support_asked_at": timezone.now(), "at_support": [[["mailbox", "a"]]]}
    Recovery.objects.create(user=disputed, **at)
    for failure in ("", "expired"):
        made = {"id": uuid4(), "created_at": timezone.now(), "failure": failure}
        MailReceipt.objects.create(is_notice=True, **made)

    page = browser.get("/admin/").text

    assert "1 person asks support to decide" in page
    assert "1 account waits for its recovery" in page
    assert "1 security notice of the last seven days couldn’t be delivered" in page
    for state, person in (("dispute", disputed), ("recovery", recovering)):
        assert page_of(person) in page, "a need of one person leads to this person"
        assert f"<bdi>{person.username}</bdi>" in page
        assert str(STATES[state].label) in browser.get(page_of(person)).text
        assert page_of(person) in browser.get(LIST, {"state": state}).text
    Recovery.objects.create(user=make_user("dave"), **at)
    assert f'href="{LIST}?state=dispute"' in browser.get("/admin/").text
    assert 'type="search" name="q" id="find" autofocus' in page
    areas = re.findall(r'<div><strong><a href="[^"]+">([^<]+)</a>', page)
    assert areas == [
        *("People", "Invitations", "Groups", "Apps", "Registration tokens", "Webhooks"),
        *("Directories", "Overview", "Your activity"),
    ]
    assert "Authentication" not in page + browser.get("/admin/auth/group/").text
    assert browser.get("/admin/auth/").url == "/admin/"

"""One's own history: by days and groups, a page at a time, and as a file."""

import csv
import html
import io
import re
from datetime import UTC, datetime

import pytest

from accounts.activity import events, history
from accounts.activity.events import EVENTS, GROUPS
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.common.pages import PAGE_SIZE
from accounts.users.models import User
from tests.support import mmdb
from tests.support.signin import set_up, signed_in
from tests.support.steps import IPHONE, make_user

PAGE = "/accounts/activity/"
CSV = f"{PAGE}activity.csv"
MARK = "192.0.2.{}"


@pytest.fixture
def alice(client, clock):
    alice = make_user("alice")
    signed_in(alice, client)
    Activity.objects.all().delete()
    return alice


def seen(client, query=""):
    """The titles on the page, from the top."""
    text = client.get(f"{PAGE}{query}").text
    return [html.unescape(title) for title in re.findall(r"<strong>(?:<a [^>]+>)?([^<]+)", text)]


def rows(client, query=""):
    """Return the rows of the downloaded file."""
    text = client.get(f"{CSV}{query}").getvalue().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_group_shows_only_its_own_kinds_of_events(client, alice):
    for event in EVENTS.values():
        record(alice, event, Actor())

    def of(group):
        kinds = [kind for kind, e in reversed(EVENTS.items()) if group in {"", e.group}]
        return [history.Entry([Activity(kind=kind)]).title for kind in kinds]

    assert sum(len(of(group)) for group in GROUPS) == len(EVENTS)
    for group in ("", *GROUPS):
        assert seen(client, f"?group={group}") == of(group)[:PAGE_SIZE]
        assert [row["What happened"] for row in rows(client, f"?group={group}")] == of(group)
    assert seen(client, "?group=no-such-group") == of("")[:PAGE_SIZE]
    page = client.get(f"{PAGE}?group=failure&page=2").text
    assert f'href="{CSV}?group=failure"' in page, "the file follows the filter"


TOKYO = ["Today", "08:30", "Yesterday", "09:30", "Tuesday, 24 November", "08:30"]
GREENWICH = ["Today", "23:30 UTC", "00:30 UTC", "Monday, 23 November", "23:30 UTC"]


@pytest.mark.parametrize("zone, lines", [("UTC", GREENWICH), ("Asia/Tokyo", TOKYO)])
def test_events_are_grouped_by_the_days_of_the_reader(client, alice, clock, zone, lines):
    for hours in (0, 25, 23):
        begun = datetime(2026, 11, 23, 23, 30, tzinfo=UTC) if not hours else clock.now()
        clock.set(begun)
        clock.advance(hours=hours)
        record(alice, events.PROFILE_CHANGED, Actor())
    signed_in(alice, client)
    User.objects.update(time_zone=zone)

    text = client.get(f"{PAGE}?group=change").text

    assert re.findall(r'(?:<h2 id="day-\d">|"time">)([^<]+)<', text) == lines


def fails(user, *, ip="192.0.2.1", agent=IPHONE):
    record(user, events.SIGN_IN_FAILED, Actor(ClientInfo(ip, agent)))


def test_failures_that_are_alike_are_one_row_that_opens(client, alice, clock):
    clock.set(clock.now().replace(hour=8, minute=0))
    for minutes in (0, 10, 20, 31):
        clock.advance(minutes=minutes)
        fails(alice)
    fails(alice, ip="192.0.2.2")
    fails(alice, agent="")
    record(alice, events.FACTOR_FAILED, Actor(ClientInfo("192.0.2.1", IPHONE)))

    signed_in(alice, client)
    text = client.get(f"{PAGE}?group=failure").text

    one = "A sign-in failed"
    step = "A sign-in passed the first step but failed the second"
    assert seen(client, "?group=failure") == [step, one, one, "3 failed sign-ins", one]
    assert "Show all 3" in text
    assert len(rows(client, "?group=failure")) == 7, "the file has each of them"


def test_other_events_are_one_row_only_if_they_follow_each_other(client, alice):
    """Each of them still has a page of its own."""
    kinds = (events.PROFILE_CHANGED, events.PASSWORD_CHANGED, *[events.PROFILE_CHANGED] * 2)
    here = Actor(ClientInfo("192.0.2.1", IPHONE))
    pks = [record(alice, kind, here).pk for kind in kinds]

    text = client.get(PAGE).text

    assert len(seen(client)) == 3
    assert text.count("2 times") == 1
    assert all(f'href="{PAGE}{pk}/"' in text for pk in pks)


def test_the_owner_can_disown_what_has_an_effect(client, alice):
    here = Actor(ClientInfo("192.0.2.1", IPHONE))
    disowned = [
        record(alice, event, actor).pk
        for event, actor in (
            *((events.SIGNED_IN, here), (events.PASSWORD_CHANGED, here)),
            *((events.FACTOR_FAILED, here), (events.SWITCHED_ON, Actor(name="carol"))),
        )
    ]
    for event, actor in (
        *((events.SIGN_IN_FAILED, here), (events.SIGNED_OUT, here)),
        *((events.CLIENT_SIGNED_OUT, here), (events.KEY_EXPIRES, Actor())),
    ):
        record(alice, event, actor)

    text = client.get(PAGE).text

    assert re.findall(rf'href="{PAGE}(\d+)/"', text) == [str(pk) for pk in reversed(disowned)]


@pytest.mark.parametrize("kind, credited", [("DBIP-City-Lite", True), ("GeoLite2-City", False)])
def test_places_are_named_and_those_of_dbip_credited(client, settings, tmp_path, kind, credited):
    alice = make_user("alice")
    signed_in(alice, client)
    Activity.objects.all().delete()
    record(alice, events.SIGNED_OUT, Actor(ClientInfo("192.0.2.1", IPHONE)))
    path = mmdb.write(tmp_path / "places.mmdb", {"192.0.2.0/24": mmdb.city("<Berlin>")}, kind=kind)
    assert "Berlin" not in client.get(PAGE).text

    set_up(settings, geoip_file=str(path))

    text, (row,) = client.get(PAGE).text, rows(client)
    assert '<span dir="auto">&lt;Berlin&gt;</span>, <span dir="ltr">192.0.2.1</span>' in text
    assert (row["IP address"], row["Place"]) == ("192.0.2.1", "<Berlin>")
    for page in (PAGE, "/", "/accounts/sessions/"):
        assert ("https://db-ip.com/" in client.get(page).text) is credited


def test_the_history_is_paged_newest_first(client, alice):
    total = PAGE_SIZE + 2
    for number in range(total):
        record(alice, events.SIGNED_OUT, Actor(ClientInfo(MARK.format(number), "")))

    def addresses(page):
        return re.findall(r"192\.0\.2\.\d+", client.get(f"{PAGE}?page={page}").text)

    newest_first = [MARK.format(number) for number in reversed(range(total))]
    assert addresses("x") == addresses("1") == newest_first[:PAGE_SIZE]
    assert addresses("99") == addresses("2") == newest_first[PAGE_SIZE:]
    whole = [row["IP address"] for row in rows(client, "?page=2")]
    assert whole == newest_first


def test_the_download_is_csv_by_rfc_4180_in_the_time_zone_of_the_reader(client, alice, clock):
    clock.set(datetime(2026, 11, 25, 20, 30, tzinfo=UTC))
    User.objects.update(time_zone="Asia/Tokyo")
    signed_in(alice, client)
    Activity.objects.all().delete()
    actor = Actor(ClientInfo("192.0.2.1", IPHONE)).by("pwd", "mail")
    record(alice, events.SESSION_ENDED, actor, detail='a "b", c\r\nd')

    answer = client.get(CSV)
    head, row = answer.getvalue().decode().split("\r\n", 1)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="activity.csv"'
    assert "no-store" in answer["Cache-Control"]
    assert head == (
        "Time (Asia/Tokyo),What happened,Details,Device,IP address,Confirmed with,Done by,Reason"
    )
    assert row == (
        "2026-11-26 05:30:00,Another device was signed out,"
        '"a ""b"", c\r\nd",Safari on iPhone,192.0.2.1,password and email,,\r\n'
    )


def test_who_acts_as_staff_is_neither_named_nor_located(client, alice):
    place = ClientInfo("192.0.2.1", IPHONE)
    record(alice, events.SWITCHED_ON, Actor(place, alice.pk, name="carol"))

    page, (row,) = client.get(PAGE).text, rows(client)

    assert "By staff" in page
    assert row["Done by"] == "By staff"
    assert (row["IP address"], row["Device"]) == ("", "")
    for secret in ("carol", "192.0.2.1", "iPhone"):
        assert secret not in page

"""The activity page: events by group, page by page, and as a file."""

import csv
import html
import io
import re

import pytest
from django.test import Client

from accounts.activity import events
from accounts.activity.events import EVENTS, GROUPS
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.common.paging import PAGE_SIZE
from accounts.users.models import User
from tests.activity.event_steps import IPHONE
from tests.conftest import Clock
from tests.support.signin import signed_in
from tests.support.steps import make_user

PAGE = "/accounts/activity/"
CSV = f"{PAGE}activity.csv"
MARK = "192.0.2.{}"

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client: Client, clock: Clock) -> User:
    alice = make_user("alice")
    signed_in(alice, client)
    Activity.objects.all().delete()
    return alice


def seen(client: Client, query: str = "") -> list[str]:
    """Return the sentences on the activity page, from the top."""
    text = client.get(f"{PAGE}{query}").text
    return [html.unescape(line) for line in re.findall(r"<strong>([^<]+?) ?<", text)]


def rows(client: Client, query: str = "") -> list[dict[str, str]]:
    """Return the rows of the downloaded file."""
    text = client.get(f"{CSV}{query}").getvalue().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_group_shows_only_its_own_kinds_of_events(client: Client, alice: User) -> None:
    for event in EVENTS.values():
        record(alice, event, Actor())

    def of(group: str) -> list[str]:
        return [str(e.sentence) for e in reversed(EVENTS.values()) if group in {"", e.group}]

    assert sum(len(of(group)) for group in GROUPS) == len(EVENTS)
    for group in ("", *GROUPS):
        assert seen(client, f"?group={group}") == of(group)[:PAGE_SIZE]
        assert [row["sentence"] for row in rows(client, f"?group={group}")] == of(group)
    assert seen(client, "?group=no-such-group") == of("")[:PAGE_SIZE]


def test_the_history_is_paged_newest_first(client: Client, alice: User) -> None:
    total = PAGE_SIZE + 2
    for number in range(total):
        record(alice, events.SIGNED_OUT, Actor(ClientInfo(MARK.format(number), "")))

    def addresses(page: str) -> list[str]:
        return re.findall(r"192\.0\.2\.\d+", client.get(f"{PAGE}?page={page}").text)

    newest_first = [MARK.format(number) for number in reversed(range(total))]
    assert addresses("1") == newest_first[:PAGE_SIZE]
    assert addresses("2") == addresses("99") == newest_first[PAGE_SIZE:]
    assert addresses("x") == addresses("1")
    assert [row["address"] for row in rows(client, "?page=2")] == newest_first, (
        "the file has all pages"
    )


def test_the_download_is_csv_by_rfc_4180(client: Client, alice: User, clock: Clock) -> None:
    actor = Actor(ClientInfo("192.0.2.1", IPHONE)).by("pwd", "mail")
    record(alice, events.SESSION_ENDED, actor, detail='a "b", c\r\nd')

    answer = client.get(CSV)
    head, row = answer.getvalue().decode().split("\r\n", 1)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="activity.csv"'
    assert "no-store" in answer["Cache-Control"]
    assert head == "time,event,sentence,address,device,proof,session,actor,detail"
    assert row == (
        f"{clock.now().isoformat(timespec='seconds')},session_ended,"
        "A sign-in was ended from elsewhere.,192.0.2.1,Safari on iPhone,pwd mail,,,"
        '"a ""b"", c\r\nd"\r\n'
    )


def test_a_staff_action_shows_the_actor_but_not_their_ip_or_device(
    client: Client, alice: User
) -> None:
    record(
        alice, events.SWITCHED_ON, Actor(ClientInfo("192.0.2.1", IPHONE), alice.pk, name="carol")
    )

    page, (row,) = client.get(PAGE).text, rows(client)

    assert "Done by carol" in page
    assert "192.0.2.1" not in page
    assert "iPhone" not in page
    assert (row["actor"], row["address"], row["device"], row["session"]) == ("carol", "", "", "")

"""Attacks on the history of an account: rewriting, flooding and reading it, and formulas in it."""

import csv
import io
from collections.abc import Callable

import pytest
from django.core import serializers
from django.db import transaction
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity, WrittenOnce
from accounts.activity.notices import MOST_AN_HOUR
from accounts.activity.services import Actor, record
from accounts.throttle.limits import LOGIN_SUBSCRIBER
from tests.support.signin import signed_in
from tests.support.steps import WRONG, make_user, outbox, sign_in

pytestmark = pytest.mark.django_db

ACTIVITY = "/accounts/activity/"
CSV = f"{ACTIVITY}activity.csv"


def forged(row: Activity) -> Activity:
    row.kind = "signed_in"
    return row


# Every way in which the ORM could overwrite a row.
REWRITES: dict[str, Callable[[Activity], object]] = {
    "save": lambda row: forged(row).save(),
    "save of a twin": lambda row: Activity(pk=row.pk, kind="signed_in").save(),
    "update": lambda row: Activity.objects.filter(pk=row.pk).update(kind="signed_in"),
    "update of a person's": lambda row: row.user and row.user.activity.update(kind="signed_in"),
    "bulk_update": lambda row: Activity.objects.bulk_update([forged(row)], ["kind"]),
    "update_or_create": lambda row: Activity.objects.update_or_create(
        {"kind": "signed_in"}, pk=row.pk
    ),
    "bulk_create": lambda row: Activity.objects.bulk_create(
        [forged(row)], update_conflicts=True, unique_fields=["id"], update_fields=["kind"]
    ),
}


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_history_entries_cannot_be_rewritten(rewrite: Callable[[Activity], object]) -> None:
    record(make_user("alice"), events.PROOF_FAILED, Actor())
    row = Activity.objects.get()

    with pytest.raises(WrittenOnce), transaction.atomic():
        rewrite(row)

    assert Activity.objects.get(pk=row.pk).kind == "proof_failed"


def test_a_password_typed_as_username_is_not_stored_in_the_history() -> None:
    browser = signed_in(make_user("alice"))

    for typed in (WRONG, f"{WRONG}@example.org", "alice"):
        sign_in(Client(headers={"referer": f"/{WRONG}"}), typed, WRONG)
    browser.post("/accounts/reauthenticate/", {"password": WRONG})

    rows = Activity.objects.filter(kind__in=["sign_in_failed", "proof_failed"])
    assert rows.count() == 4
    assert WRONG not in serializers.serialize("json", Activity.objects.all())


def test_a_history_shows_only_the_users_own_entries() -> None:
    make_user("alice")
    sign_in(Client(REMOTE_ADDR="192.0.2.77"), "alice", WRONG)
    sign_in(Client(REMOTE_ADDR="192.0.2.77"), "nobody", WRONG)
    mallory = signed_in(make_user("mallory"))

    for row in Activity.objects.all():
        is_own = row.user is not None and row.user.username == "mallory"
        assert mallory.get(f"{ACTIVITY}{row.pk}/").status_code == (200 if is_own else 404)
    for query in ("", "?group=failure", "?group=failure&user=alice&page=0", "?group=\0&page=1e9"):
        for path in (ACTIVITY, CSV):
            answer = mallory.get(path + query)
            assert answer.status_code == 200
            assert b"192.0.2.77" not in answer.getvalue()


def test_guesses_beyond_the_limit_are_neither_recorded_nor_mailed() -> None:
    alice = make_user("alice")

    for i in range(LOGIN_SUBSCRIBER.burst + 3):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{i}"), "alice", WRONG)

    assert alice.activity.count() == LOGIN_SUBSCRIBER.burst
    assert outbox() == []


@pytest.mark.parametrize("cell", [f"{mark}1" for mark in "=+-@\t\r\n\uff1d"])
def test_no_cell_of_the_csv_file_is_a_formula(cell: str) -> None:
    """CWE-1236."""
    alice = make_user("alice")
    record(alice, events.SESSION_ENDED, Actor(key=cell, reason=cell), detail=cell)

    text = signed_in(alice).get(CSV).getvalue().decode()
    *_, row = csv.reader(io.StringIO(text, newline=""))

    assert [row[2], row[-3], row[-1]] == [f"'{cell}"] * 3
    assert row[1] == "Another session was signed out"


def test_repeated_sign_ins_do_not_flood_the_owner_with_notices() -> None:
    make_user("alice")
    for _ in range(MOST_AN_HOUR + 5):
        sign_in(Client(), "alice")

    notices = [mail for mail in outbox() if "new browser" in mail.subject]
    assert len(notices) == MOST_AN_HOUR
    assert Activity.objects.filter(kind="signed_in_new").count() == MOST_AN_HOUR + 5

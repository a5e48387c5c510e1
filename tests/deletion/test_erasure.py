"""An account whose deletion is due is erased: its rows, what others' histories say, its name."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection

from accounts.activity import events
from accounts.activity.history import entries
from accounts.activity.models import ABOUT_OTHERS, Activity
from accounts.activity.services import Actor, record
from accounts.administration.person import StaffEntry
from accounts.deletion import erasure
from accounts.deletion.models import Erasure
from accounts.profile.services import rename
from accounts.throttle.models import StoredBudget
from accounts.users import services as users
from accounts.users.models import BlockedName, NameSkeleton, User, Username
from accounts.users.services import UsernameTaken
from tests.support.erasure import erase, traces
from tests.support.signin import set_up
from tests.support.steps import make_staff, make_user


@pytest.fixture(autouse=True)
def _log(settings, tmp_path):
    set_up(settings, deletion_log=str(tmp_path / "deletions.log"))


@pytest.fixture(autouse=True)
def rewrite(monkeypatch):
    """Replace the rewriting of the file, which is impossible in the transaction of a test."""
    real = erasure._rewrite
    monkeypatch.setattr(erasure, "_rewrite", lambda **_: True)
    return real


def asked(name, clock, **ago):
    user = make_user(name)
    User.objects.filter(pk=user.pk).update(deletion_due=clock.now() - timedelta(**ago))
    return user


def test_prune_erases_accounts_when_they_are_due_and_logs_their_ids(clock, caplog):
    caplog.set_level("INFO", logger="accounts.deletion")
    due, later = asked("due", clock, seconds=0), asked("later", clock, days=-1)
    bob = make_user("bob")

    call_command("prune", verbosity=0)

    assert set(User.objects.all()) == {later, bob}
    assert erasure.read_log(erasure.log_file()) == [due.pk]
    assert erasure.log_file().stat().st_mode & 0o777 == 0o600
    assert not Erasure.objects.exists()
    assert caplog.messages == [f"Account {due.pk} was erased"]


def test_an_account_that_cannot_be_erased_stops_no_other_and_its_values_are_not_logged(
    clock, monkeypatch, caplog
):
    broken, due = asked("broken", clock, days=1), asked("due", clock, days=1)
    real = users.person_of

    def fail(user, **options):
        if user == broken:
            raise DatabaseError("Key (username)=(broken) is wrong")
        return real(user, **options)

    monkeypatch.setattr(users, "person_of", fail)
    assert erasure.erase_due() == 1
    assert list(User.objects.all()) == [broken]
    assert str(due.pk) not in caplog.text
    assert f"Account {broken.pk} could not be erased: DatabaseError" in caplog.text
    assert "wrong" not in caplog.text


def test_what_staff_did_keeps_their_id_and_what_is_said_of_others_becomes_an_id(clock):
    """Withstands a member of staff: they delete their own account."""
    carol, bob, dave = make_staff("carol"), make_user("bob"), make_staff("dave")
    by_carol = Actor(name="carol", reason="bob asked by phone")
    record(bob, events.SWITCHED_OFF, by_carol)
    record(dave, events.SWITCHED_OFF, by_carol)
    record(dave, events.STAFF_ACTED, Actor(reason="bob asked"), detail="bob: Deactivate")
    record(dave, events.STAFF_ACTED, Actor(), detail="bobby: Deactivate")
    record(dave, events.INVITED, Actor(), detail="BOB@example.org")
    record(bob, events.KEY_MADE, Actor(), detail="erin@example.org")
    record(dave, events.INVITED, Actor(), detail="erin@example.org")

    assert erase(bob)
    assert erase(carol)

    rows = Activity.objects.filter(user=dave).order_by("pk")
    assert [(row.actor, row.detail, row.reason) for row in rows] == [
        (f"@{carol.pk}", "", "bob asked by phone"),
        ("", f"@{bob.pk}: Deactivate", ""),
        ("", "bobby: Deactivate", ""),
        ("", f"@{bob.pk}", ""),
        ("", "erin@example.org", ""),
    ]
    first, second, *_rest = entries(rows)
    assert StaffEntry(first.rows).by == f"By a deleted account ({carol.pk})"
    assert second.detail == f"a deleted account ({bob.pk}): Deactivate"
    assert traces("carol") == []


def test_an_event_about_the_next_person_with_a_former_name_stays(clock):
    alice, dave = make_user("alice"), make_staff("dave")
    record(dave, events.DETAILS_SEEN, Actor(), detail="alice")
    clock.advance(days=2)
    rename(alice, "alicia", Actor())
    clock.advance(days=40)
    call_command("prune", verbosity=0)
    users.take_username("alice", until=None)
    users.create_user("alice", "!")
    record(dave, events.DETAILS_SEEN, Actor(), detail="alice")

    assert erase(alice)

    rows = Activity.objects.filter(user=dave).order_by("pk").values_list("detail", flat=True)
    assert list(rows) == [f"@{alice.pk}", "alice"]


def test_a_deleted_name_and_names_like_it_are_blocked_for_a_year_by_a_keyed_digest(clock):
    """Withstands an impostor."""
    bill = make_user("bill")
    users.take_username("will", until=clock.now() + timedelta(days=30))
    Username.objects.filter(key="will").update(former=bill)

    assert erase(bill)

    assert traces("bill", "will") == []
    assert not NameSkeleton.objects.exists()
    assert all(len(row.digest) == 64 for row in BlockedName.objects.all())
    for name in ("bill", "BILL", "biII", "will"):
        with pytest.raises(UsernameTaken):
            users.take_username(name, until=None)
    assert users.take_similar_username("bill") == "bill-2"
    assert not Username.objects.filter(key="bill").exists()

    clock.advance(days=366)
    call_command("prune", verbosity=0)
    assert not BlockedName.objects.exists()
    users.take_username("bill", until=None)


def test_only_accounts_that_are_due_are_erased_and_only_once(clock):
    alice = make_user("alice")

    assert not erasure.erase(alice.pk)
    assert not erasure.erase(uuid4())
    assert erase(alice)
    assert not erasure.erase(alice.pk)


def test_a_clean_up_that_was_killed_continues_and_logs_each_id_once(clock, monkeypatch):
    alice = make_user("alice")
    assert erase(alice)
    with monkeypatch.context() as killed:
        killed.setattr(erasure, "_rewrite", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erasure.clean_up()

    assert erasure.clean_up() == 0
    assert erasure.clean_up() == 0

    assert erasure.read_log(erasure.log_file()) == [alice.pk]
    assert erasure.log_file().read_text().count(str(alice.pk)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_clean_up_leaves_no_unused_pages_in_an_sqlite_file(rewrite, monkeypatch):
    monkeypatch.setattr(erasure, "_rewrite", rewrite)
    StoredBudget.objects.bulk_create(StoredBudget(key=f"{n:064}", whole_at=n) for n in range(2000))
    StoredBudget.objects.all().delete()
    assert unused_pages() > 20
    Erasure.objects.create(pk=uuid4())

    assert erasure.clean_up() == 0

    assert unused_pages() < 3
    assert not Erasure.objects.exists()


def unused_pages():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA freelist_count")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("small", [0, erasure.LARGEST_REWRITTEN], ids=["too large", "impossible"])
def test_an_sqlite_file_that_is_not_rewritten_waits_for_the_next_time(
    clock, rewrite, monkeypatch, capsys, small
):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA secure_delete")
        assert cursor.fetchone() == (1,)
    monkeypatch.setattr(erasure, "_rewrite", rewrite)
    # In the transaction of a test, a rewriting fails as it does on a full disk.
    monkeypatch.setattr(erasure, "LARGEST_REWRITTEN", small)
    alice = asked("alice", clock, days=1)

    call_command("prune")

    assert "1 deleted accounts: run prune --rewrite" in capsys.readouterr().out
    assert Erasure.objects.get().pk == alice.pk


def test_a_line_of_the_log_that_was_cut_off_does_not_spoil_the_next(tmp_path):
    ids = [uuid4(), uuid4()]
    erasure.append_to_log(ids[:1])
    with erasure.log_file().open("a") as file:
        file.write(f"2026-11-30T02:00:00Z {str(uuid4())[:20]}")
    erasure.append_to_log(ids[1:])

    assert erasure.read_log(erasure.log_file()) == ids


def test_the_events_about_other_people_exist():
    assert set(ABOUT_OTHERS) <= events.EVENTS.keys()

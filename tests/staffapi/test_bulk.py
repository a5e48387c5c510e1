"""The bulk call: acts of staff on many people, each in a line."""

import resource
import sys
import time
import uuid
from itertools import batched

import pytest
from django.contrib.auth.models import Group

from accounts.activity.models import Activity
from accounts.invitations.models import Invitation
from accounts.mail.models import OutgoingMail
from accounts.mail.services import Queue
from accounts.staffapi import bulk
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.users.models import User
from tests.support.administration import carols_key, in_bulk, member, results_of, token_of
from tests.support.api import API, call
from tests.support.foreign_hashes import BCRYPT
from tests.support.steps import make_user, outbox


def line(act, user, **fields):
    return {"act": act, "id": str(user.pk), **fields}


def test_each_line_has_its_own_result_and_a_bad_line_harms_no_other():
    """Withstands a member of staff: a reason that nobody sees."""
    key = carols_key("act", "Manager", "add_invitation")
    alice, bob, dora = (make_user(name) for name in ("alice", "bob", "dora"))
    carol, owner = (User.objects.get(username=name) for name in ("carol", "owner"))
    nobody = {"act": "delete", "id": str(uuid.uuid4())}
    fresh = {"act": "create", "email": "erin@example.org"}
    erin = fresh | {"username": "erin", "password_hash": BCRYPT}
    tried = [
        (line("deactivate", alice), 200, ""),
        (b"{", 400, "parse_error"),
        (b"\xff", 400, "parse_error"),
        (b"[" * 3000, 400, "parse_error"),
        (b'"change"', 400, "parse_error"),
        ({}, 400, "act"),
        ({"act": "send-reset", "id": str(bob.pk)}, 400, "act"),
        ({"act": "delete"}, 400, "id"),
        ({"act": "delete", "id": "x"}, 400, "id"),
        (nobody, 404, "not_found"),
        (line("delete", carol), 403, "not_allowed_on_staff"),
        (line("delete", owner), 403, "not_allowed_on_staff"),
        (line("delete", dora, reason=""), 400, "reason"),
        (line("delete", dora, reason="\u3164"), 400, "reason"),
        (line("delete", dora, reason="\u200d"), 400, "reason"),
        (line("delete", dora, target="x"), 400, "target"),
        (line("deactivate", alice), 409, "already_done"),
        (fresh | {"id": str(bob.pk)}, 400, "id"),
        (erin | {"username": "alice"}, 400, "username"),
        (erin, 201, ""),
        (fresh | {"email": "frank@example.org"}, 201, ""),
        (line("change", bob, about="Painter"), 200, ""),
        (line("delete", dora), 200, ""),
    ]

    answer = in_bulk(key, *(sent for sent, _status, _fault in tried))

    results = results_of(answer)
    faults = [r.code or (r.fields[0] if "errors" in r.body else "") for r in results]
    assert [(r.status, fault) for r, fault in zip(results, faults, strict=True)] == [
        (status, fault) for _sent, status, fault in tried
    ]
    assert [row["line"] for row in answer["results"]] == [*range(1, len(tried) + 1)]
    made = User.objects.get(username="erin").pk, Invitation.objects.get().pk
    assert [row["id"] for row in answer["results"][-4:-2]] == [*map(str, made)]
    users = {user.username: user for user in User.objects.all()}
    assert not users["alice"].is_active
    assert users["bob"].about == "Painter"
    assert users["dora"].deletion_due
    assert carol.activity.filter(kind="staff_acted").exclude(reason="").count() == 4
    assert {mail.queue for mail in OutgoingMail.objects.all() if mail.mass} == {Queue.MASS}


def test_a_bulk_call_counts_100_people_as_one_act():
    token = token_of("Support")
    budget = STAFF.of("act", User.objects.get(username="carol").pk)
    hit(budget._replace(cost=budget.depth - 3 * budget.cost))

    answers = [in_bulk(token, *[b"1"] * lines).status for lines in (100, 101, 1)]

    assert answers == [200, 200, 429]


def test_a_bulk_call_takes_1_000_lines_of_json_and_nothing_else():
    key = carols_key()

    assert in_bulk(key, *[b"1"] * 1001).short == (400, "parse_error")
    assert len(in_bulk(key, b"", *[b"1"] * 1000, b"")["results"]) == 1000
    assert in_bulk(key, b" " * 65_537).short == (413, "content_too_large")
    assert call("admin/users/bulk/", {"act": "delete"}, token=key).status == 415
    assert in_bulk(key)["results"] == []


@pytest.mark.parametrize("people", [20, 21])
def test_superusers_get_one_email_about_a_bulk_call_on_more_than_20_people(people):
    """Of fewer people, they hear as of single acts."""
    key, owner = carols_key(role="Manager"), User.objects.get(username="owner")
    users = [make_user(f"person{n}") for n in range(people)]
    before = len([mail for mail in outbox() if mail.to == owner.email])

    User.objects.get(username="carol").groups.add(Group.objects.create(name="Readers"))

    in_bulk(key, *(line("change", user, groups=["Readers"]) for user in users))

    mails = [mail for mail in outbox() if mail.to == owner.email][before:]
    assert owner.activity.filter(kind="staff_changed").count() >= people
    begun = owner.activity.filter(kind="bulk_started", actor="carol", detail=f"change: {people}")
    assert begun.exists() is (people > 20)
    assert len(mails) == 1


def test_a_change_that_gives_rights_is_emailed_also_among_many_others():
    key, owner = carols_key(role="Manager"), User.objects.get(username="owner")
    users = [make_user(f"person{n}") for n in range(21)]
    others = (line("end-sessions", user) for user in users[1:])

    in_bulk(key, *others, line("change", users[0], groups=["Support"]))

    [*_, mail] = [mail for mail in outbox() if mail.to == owner.email]
    assert "person0" in str(mail)


def test_many_small_bulk_calls_are_noticed_as_a_large_one():
    key, owner = carols_key(), User.objects.get(username="owner")
    users = [make_user(f"person{n}") for n in range(22)]

    for n in (0, 10, 20):
        in_bulk(key, *(line("deactivate", user) for user in users[n : n + 10]))

    [begun] = owner.activity.filter(kind="bulk_started")
    assert begun.detail == "deactivate: 2"


def test_bulk_calls_at_once_are_noticed_although_each_of_them_is_small(monkeypatch):
    """Each looks at the acts of the last hour before the others act."""
    key, owner = carols_key(), User.objects.get(username="owner")
    users = [make_user(f"person{n}") for n in range(22)]
    monkeypatch.setattr(bulk, "_announced", lambda _staff, actor, _lines: actor)

    for n in (0, 11):
        in_bulk(key, *(line("deactivate", user) for user in users[n : n + 11]))

    [begun] = owner.activity.filter(kind="bulk_started")
    assert begun.detail == "Deactivate the account: 21"


def test_a_repeated_bulk_call_creates_nothing_twice():
    """Withstands an accident."""
    key, alice = carols_key("act", "Manager", "add_invitation"), make_user("alice")
    dave = {"act": "create", "email": "dave@example.org"}
    lines = [
        dave | {"username": "dave", "password_hash": BCRYPT},
        dave | {"email": "erin@example.org"},
        line("deactivate", alice),
    ]

    first, again = (in_bulk(key, *lines, Idempotency_Key="a-bulk-call-of-a-program") for _ in "12")

    assert [row["status"] for row in first["results"]] == [201, 201, 200]
    assert [row["status"] for row in again["results"]] == [201, 201, 409]
    assert again["results"][:2] == first["results"][:2]
    assert (
        User.objects.filter(username__startswith="dave").count(),
        Invitation.objects.count(),
    ) == (1, 1)


def test_auditors_make_no_bulk_call_and_alarm_nobody():
    owner, alice = member("owner", "Superuser"), make_user("alice")

    answer = in_bulk(token_of("Auditor"), *[line("delete", alice)] * 21)

    assert answer.short == (403, "not_in_role")
    assert not owner.activity.filter(kind="bulk_started").exists()


# As many lines as a body can have.
LINES = 250


@pytest.mark.parametrize("people", [60, pytest.param(10_000, marks=pytest.mark.proof)])
def test_an_office_creates_reads_changes_and_deletes_its_people(people, clock, capsys):
    """Others are created while the program reads; each person is in the list once."""
    key = carols_key("act", "Superuser")
    group = Group.objects.create(name="Staff of the office")
    began, told = time.monotonic(), [f"{people} people"]

    def note(step):
        told.append(f"{step} after {time.monotonic() - began:.0f} s")

    def send(step, lines):
        for part in batched(lines, LINES):
            results = in_bulk(key, *part)["results"]
            assert {row["status"] for row in results} <= {200, 201}
            clock.advance(seconds=30)
        note(step)

    new = {"act": "create", "password_hash": BCRYPT}
    names = [f"person{n}" for n in range(people)]
    send("created", [new | {"username": n, "email": f"{n}@example.org"} for n in names])
    seen, url = [], "admin/users/?order=created&created_after=2000-01-01T00:00:00Z&after="
    while url:
        clock.advance(seconds=15)
        answer = call(url, token=key)
        seen += answer["results"]
        if len(seen) <= people:
            make_user(f"late{len(seen)}")
        url = (answer["next"] or "").partition(API)[2]
    note("all read")
    ids = [row["id"] for row in seen if row["username"].startswith("person")]
    send("changed", [{"act": "change", "id": pk, "groups": [group.name]} for pk in ids])
    send("half deleted", [{"act": "delete", "id": pk} for pk in ids[::2]])

    found = [row["username"] for row in seen]
    assert sorted(found) == sorted(User.objects.values_list("username", flat=True))
    assert group.user_set.count() == people
    assert User.objects.exclude(deletion_due=None).count() == people / 2
    acts = Activity.objects.filter(user__username="carol", kind="staff_acted").exclude(key="")
    assert acts.count() == 2.5 * people
    told.append(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    with capsys.disabled():
        sys.stdout.write(f"\n{', '.join(told)}\n")

"""What staff change over the API, profiles and groups, and what they read of a person."""

import pytest
from django.contrib.auth.models import Permission

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.administration.acts import OF_KEYS
from accounts.invitations import services as invitations
from accounts.mail.models import MailReceipt
from accounts.mail.services import deliver_due
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import STAFF, STAFF_INVITE, STAFF_READ
from accounts.throttle.services import hit
from accounts.users.models import Identity, User
from tests.support.administration import (
    ADDRESSES,
    REASON,
    alice_with_addresses,
    carols_key,
    group_with,
    in_bulk,
    member,
    results_of,
    staff_token,
    token_of,
)
from tests.support.api import API, call, get_tokens
from tests.support.api_keys import key_of
from tests.support.second_factor import enrolled
from tests.support.steps import make_user, outbox


def change(user, token, method="PATCH", **fields):
    return call(f"admin/users/{user.pk}/", {"reason": REASON} | fields, method=method, token=token)


def groups_of(user):
    return sorted(user.groups.values_list("name", flat=True))


def test_a_changed_profile_is_in_both_histories_and_in_an_email_with_the_reason(alice):
    token = token_of("Support")

    answer = change(alice, token, given_name="Alice", language="de")

    assert (answer["given_name"], answer["language"], answer["groups"]) == ("Alice", "de", [])
    mine = alice.activity.get(kind="profile_changed")
    assert (mine.actor, mine.reason) == ("carol", REASON)
    theirs = Activity.objects.get(user__username="carol", kind="staff_acted")
    assert (theirs.detail, theirs.reason) == ("alice: The profile was changed.", REASON)
    assert any(mail.to == alice.email and REASON in str(vars(mail)) for mail in outbox())


def test_changed_groups_sign_the_person_out_and_tell_superusers(alice):
    owner, token = member("owner", "Superuser"), token_of("Manager")
    alice.groups.add(group_with("Old", "view_user"))
    group_with("Editors", "view_group")
    User.objects.get(username="carol").user_permissions.add(
        Permission.objects.get(codename="view_group")
    )
    get_tokens("alice")

    answer = change(alice, token, groups=["Editors"])

    assert (answer.status, answer["groups"]) == (200, ["Editors"])
    assert not LoginSession.objects.filter(user=alice, ended_at=None).exists()
    assert alice.activity.filter(kind="rights_changed", reason=REASON).exists()
    assert owner.activity.filter(kind="staff_changed", detail="alice").exists()
    assert call("admin/users/?group=Editors", token=token)["results"][0]["username"] == "alice"


@pytest.mark.parametrize(
    "role, emails, waiting",
    [("Support", [*ADDRESSES[:2]], [ADDRESSES[2]]), ("Auditor", ["a…@example.org"], [])],
)
def test_an_account_is_shown_with_the_states_and_addresses_that_the_reader_may_see(
    role, emails, waiting
):
    user = alice_with_addresses()

    shown = call(f"admin/users/{user.pk}/", token=token_of(role, "dave"))

    assert (shown["emails"], shown["pending_emails"]) == (emails, waiting)
    assert (shown["states"], shown["deletion_due"]) == (["no_factor"], None)


def test_a_deletion_over_the_api_can_be_undone(alice):
    token = token_of("Support")

    answer = change(alice, token, method="DELETE")

    assert (answer.status, list(answer.body)) == (202, ["deletion_due"])
    assert change(alice, token, method="DELETE").short == (409, "already_done")
    undone = call(f"admin/users/{alice.pk}/undo-deletion/", {"reason": REASON}, token=token)
    assert undone.status == 200


# What mallory, who is staff, tries: the role, whom it concerns, what is sent, and the refusal.
ON_STAFF, ROLE = (403, "not_allowed_on_staff"), (403, "not_in_role")
ATTEMPTS = [
    ("Auditor", "alice", {"about": "x"}, ROLE),
    ("Support", "alice", {"groups": ["Editors"]}, ROLE),
    ("Support", "manager", {"about": "x"}, ON_STAFF),
    ("Manager", "owner", {"about": "x"}, ON_STAFF),
    ("Manager", "owner", {"groups": []}, ON_STAFF),
    ("Manager", "mallory", {"groups": ["Owners"]}, ON_STAFF),
    ("Superuser", "mallory", {"about": "x"}, ON_STAFF),
    # Neither a group with a right that managers lack, nor one that another service may trust.
    ("Manager", "alice", {"groups": ["Owners"]}, ROLE),
    ("Manager", "alice", {"groups": ["Manager", "Owners"]}, ROLE),
    ("Manager", "alice", {"groups": ["No rights here"]}, ROLE),
    ("Manager", "bob", {"groups": []}, ROLE),
    ("Superuser", "alice", {"groups": ["None of that name"]}, "groups"),
    ("Superuser", "alice", {"groups": "Editors"}, "groups"),
    ("Superuser", "alice", {"reason": ""}, "reason"),
    ("Superuser", "alice", {"reason": "x" * 501}, "reason"),
    *(
        ("Superuser", "alice", {name: value}, name)
        for name, value in {
            **{"is_staff": True, "is_superuser": True, "is_active": False, "user_permissions": [1]},
            **{"password": "x", "email": "m@example.org", "username": "m", "id": "x", "state": ""},
            **{"credential_version": 0, "date_joined": "2020-01-01T00:00:00Z", "group_names": []},
        }.items()
    ),
]


@pytest.mark.parametrize("role", ["Auditor", "Support", "Manager", "Superuser"])
def test_bad_staff_change_nothing_beyond_their_role(role):
    """Withstands a member of staff."""
    members = {"manager": "Manager", "owner": "Superuser"}
    users = {each: member(each, members[each]) for each in members}
    users |= {each: make_user(each) for each in ("alice", "bob")}
    group_with("Editors", "view_user")
    group_with("Owners", "add_group")
    users["bob"].groups.add(group_with("No rights here"))
    token = token_of(role, "mallory")
    users["mallory"] = User.objects.get(username="mallory")
    before = list(User.objects.order_by("pk").values()), groups_of(users["bob"])

    for name, fields, refusal in [attempt for by, *attempt in ATTEMPTS if by == role]:
        alone = change(users[name], token, **fields)
        line = {"act": "change", "id": str(users[name].pk)} | fields
        for answer in (alone, *results_of(in_bulk(token, line))):
            if isinstance(refusal, str):
                assert (answer.status, answer.fields) == (400, [refusal])
            else:
                assert answer.short == refusal, fields
    after = list(User.objects.order_by("pk").values()), groups_of(users["bob"])
    assert after == before
    assert groups_of(users["alice"]) == []


def test_an_account_that_will_be_deleted_gets_no_groups(alice):
    token = token_of("Superuser")
    change(alice, token, method="DELETE")
    group_with("Editors", "view_user")

    assert change(alice, token, groups=["Editors"]).short == (409, "already_done")
    assert groups_of(alice) == []


def test_whoever_is_shown_an_account_without_changing_it_leaves_a_trace(alice):
    assert change(alice, token_of("Support")).status == 200

    assert alice.activity.filter(kind="page_opened", actor="carol").exists()


def test_an_allowed_key_acts_10_000_times_an_hour_and_its_owner_no_more_than_before(alice, clock):
    key, carol = carols_key(), User.objects.get(username="carol")
    budget = STAFF.times(OF_KEYS).of("key", carol.pk)
    assert 10_000 <= 3_600_000 / budget.cost <= 10_100
    hit(budget._replace(cost=budget.depth - 2 * budget.cost))

    answers = [change(alice, key, about=str(n)).status for n in range(3)]

    assert answers == [200, 200, 429]
    assert {row.key for row in alice.activity.filter(kind="profile_changed")} != {""}
    assert STAFF.burst == 60


def test_an_allowed_key_sends_10_000_invitations_an_hour(clock):
    key = carols_key("act", "Manager", "add_invitation")
    carol = User.objects.get(username="carol")
    budget = STAFF_INVITE.times(invitations.OF_KEYS).of("key", carol.pk)
    assert 10_000 <= 3_600_000 / budget.cost <= 10_300
    hit(budget._replace(cost=budget.depth - 2 * budget.cost))

    people = ({"email": f"new{n}@example.org"} for n in range(3))
    answers = [call("admin/invitations/", person, token=key).status for person in people]

    assert answers == [201, 201, 429]


@pytest.mark.parametrize("role, is_whole", [("Support", True), ("Auditor", False)])
def test_details_are_what_the_person_has_and_auditors_see_short_addresses(role, is_whole):
    alice = alice_with_addresses()
    get_tokens()
    enrolled(alice)
    key_of(alice)
    Identity.objects.create(
        user=alice, issuer="https://accounts.google.com", subject="1", label=ADDRESSES[1]
    )
    deliver_due()
    alice.emails.get(email=ADDRESSES[1]).delete()

    shown = call(f"admin/users/{alice.pk}/details/", token=token_of(role))

    assert [row["kind"] for row in shown["sessions"]] == ["api"]
    assert [row["name"] for row in shown["keys"]] == ["bot"]
    assert [len(shown[name]) for name in ("authenticators", "passkeys", "apps")] == [1, 0, 0]
    assert [row["account"] for row in shown["providers"]] == [
        ADDRESSES[1] if is_whole else "s…@work.example"
    ]
    headings = {row["heading"] for row in shown["mails"]}
    assert headings <= set(MailReceipt.objects.values_list("heading", flat=True))
    assert ("Confirm your email address" in headings) is is_whole
    assert (ADDRESSES[1] in str(shown.body)) is is_whole


@pytest.mark.parametrize("role, is_whole", [("Support", True), ("Auditor", False)])
def test_the_history_of_a_person_names_the_staff_and_auditors_see_short_addresses(role, is_whole):
    alice, dave = alice_with_addresses(), make_user("dave")
    for _ in range(60):
        record(alice, events.PROFILE_CHANGED, Actor().as_staff(dave, REASON), mail=False)

    url, token, rows = f"admin/users/{alice.pk}/activity/?after=", token_of(role), []
    while url:
        answer = call(url, token=token)
        rows += answer["results"]
        url = (answer["next"] or "").partition(API)[2]

    assert len(rows) == alice.activity.count()
    changed = [row for row in rows if row["kind"] == "profile_changed"]
    assert {(row["actor"], row["actor_id"], row["reason"]) for row in changed} == {
        ("dave", str(dave.pk), REASON)
    }
    assert (ADDRESSES[1] in str(rows)) is is_whole
    assert ("s…@work.example" in str(rows)) is not is_whole


@pytest.mark.parametrize("part", ["", "details/", "activity/"])
def test_each_look_is_recorded_and_counted(part, clock):
    alice, token = make_user("alice"), token_of("Support")
    carol, path = User.objects.get(username="carol"), f"admin/users/{alice.pk}/{part}"
    for budget in (STAFF_READ.of(carol.pk), STAFF.of("read", carol.pk)):
        hit(budget._replace(cost=budget.depth - budget.cost))

        assert [call(path, token=token).status for _ in range(2)] == [200, 429]
        clock.advance(minutes=1)
        token = staff_token("carol")

    assert alice.activity.get(kind="page_opened").actor == "carol"


def test_a_key_reads_details_as_its_owner_may_and_nothing_of_nobody():
    alice, key = make_user("alice"), carols_key("read")

    assert call(f"admin/users/{alice.pk}/details/", token=key).status == 200
    for part in ("details", "activity"):
        nobody = f"admin/users/8d1a3c0e-6c29-4f5b-9a27-3f2f4a1f7f10/{part}/"
        assert call(nobody, token=key).short == (404, "not_found")

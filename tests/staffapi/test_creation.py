"""What staff and their programs create over the API: invitations, and accounts with a hash."""

import pytest
from django.contrib.auth.models import Permission

from accounts.activity.models import Activity
from accounts.administration.acts import OF_KEYS
from accounts.emails.models import PendingEmail
from accounts.invitations.models import Invitation
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.users.models import User
from tests.support.administration import REASON, carols_key, group_with, token_of
from tests.support.api import call
from tests.support.api_jwt import API
from tests.support.api_jwt import call as raw_call
from tests.support.foreign_hashes import BCRYPT, TYPED
from tests.support.signin import set_up
from tests.support.steps import make_user, outbox
from tests.support.wsgi import Program

DAVE = {"email": "dave@example.org", "reason": REASON}
ACCOUNT = DAVE | {"username": "dave", "password_hash": BCRYPT}


def may_invite(username="carol"):
    permission = Permission.objects.get(codename="add_invitation")
    User.objects.get(username=username).user_permissions.add(permission)


def key_to_create(role="Manager"):
    return carols_key("act", role, "add_invitation")


def create(token, key="", **fields):
    headers = {"Idempotency_Key": key} if key else {}
    return raw_call(
        Program(), f"{API}admin/users/", fields, authorization=f"Bearer {token}", **headers
    )


def test_whoever_is_created_without_a_hash_gets_an_invitation():
    """The answer does not say whether the address has an account."""
    make_user("alice")
    token = token_of("Support")
    may_invite()

    answers = [
        create(token, **DAVE | {"email": f"{name}@example.org"}) for name in ("dave", "alice")
    ]

    assert [(a.status, a["account"], a["invitation"]["invited_by"]) for a in answers] == [
        (201, None, "carol")
    ] * 2
    assert [mail.to for mail in outbox()[-2:]] == ["dave@example.org", "alice@example.org"]
    told = Activity.objects.filter(user__username="carol", kind="invited")
    assert set(told.values_list("reason", flat=True)) == {REASON}


def test_a_program_creates_an_account_with_the_hash_of_another_system():
    group_with("Editors", "view_user")
    key = key_to_create()

    made = create(key, **ACCOUNT, groups=["Editors"], display_name="Dave")

    dave = User.objects.get(username="dave")
    assert (made.status, made["account"]["id"], made["invitation"]) == (201, str(dave.pk), None)
    assert (dave.display_name, dave.email, dave.group_names) == ("Dave", "", ["Editors"])
    assert PendingEmail.objects.get(user=dave).email == DAVE["email"]
    assert call("token/", {"username": "dave", "password": TYPED}).status == 200
    event = dave.activity.get(kind="imported")
    assert (event.actor, event.reason, event.key[:3]) == ("carol", REASON, "bot")
    carol, owner = (User.objects.get(username=name) for name in ("carol", "owner"))
    assert carol.activity.filter(kind="staff_acted", reason=REASON).exists()
    assert owner.activity.filter(kind="staff_changed", detail="dave").exists()


@pytest.mark.parametrize("fields", [DAVE, ACCOUNT], ids=["invitation", "account"])
def test_a_repeated_creation_returns_what_the_first_has_created(fields):
    key, repeat = key_to_create(), "one-creation-of-a-program"
    before = User.objects.count()

    first, again = (create(key, repeat, **fields) for _ in range(2))

    assert (first.status, first.body) == (201, again.body)
    assert User.objects.count() + Invitation.objects.count() == before + 1


# What mallory tries with a key of carol: her role, what is sent, and the refusal.
ROLE = (403, "not_in_role")
ATTEMPTS = [
    ("Auditor", {}, ROLE),
    ("Manager", {"groups": ["Owners"]}, "groups"),
    ("Manager", {"groups": ["None of that name"]}, "groups"),
    ("Support", {"groups": ["Editors"]}, "groups"),
    ("Superuser", {"is_staff": True}, "is_staff"),
    ("Superuser", {"days": 3}, "days"),
    ("Superuser", {"is_superuser": True}, "is_superuser"),
    ("Superuser", {"reason": ""}, "reason"),
    *(("Superuser", {"username": name}, "username") for name in ("carol", "Caro1", "admin", "a@b")),
    *(
        ("Superuser", {"password_hash": text}, "password_hash")
        for text in ("", TYPED, "$2b$31$" + BCRYPT[7:], "x" * 1025, 5)
    ),
    ("Superuser", {"email": "no address"}, "email"),
]


@pytest.mark.parametrize("role, fields, refusal", ATTEMPTS)
def test_no_key_creates_more_than_its_owner_may_give(role, fields, refusal):
    """Withstands a member of staff."""
    group_with("Editors", "view_user")
    group_with("Owners", "add_group")
    key = key_to_create(role)
    before = list(User.objects.order_by("pk").values())

    answer = create(key, **ACCOUNT | fields)

    if isinstance(refusal, str):
        assert (answer.status, answer.fields) == (400, [refusal])
    else:
        assert answer.short == refusal
    assert list(User.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("missing", ["username", "password_hash"])
def test_an_account_needs_a_username_and_a_hash_and_an_invitation_has_neither(missing):
    fields = {name: value for name, value in ACCOUNT.items() if name != missing}

    assert create(key_to_create(), **fields).fields == ["username"]


def test_only_a_key_brings_hashes_and_only_while_its_owner_may_invite(settings):
    key = carols_key()
    assert create(key, **ACCOUNT).short == ROLE
    assert create(token_of("Manager", "dora"), **ACCOUNT).short == ROLE
    may_invite()
    set_up(settings, signup="closed")
    assert create(key, **ACCOUNT).short == ROLE
    assert not User.objects.filter(username="dave").exists()


def test_each_account_counts_as_an_act(clock):
    key, carol = key_to_create(), User.objects.get(username="carol")
    budget = STAFF.times(OF_KEYS).of("key", carol.pk)
    hit(budget._replace(cost=budget.depth - budget.cost))

    made = [create(key, **ACCOUNT | {"username": f"dave{n}"}).status for n in range(2)]

    assert made == [201, 429]

"""What staff do in the admin: help people who write "I can’t get in"."""

import json
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.emails import services as emails
from accounts.users import services as users
from accounts.users.models import User
from tests.support import api_jwt as raw
from tests.support.api import API, Caller, call, get_tokens, second_step
from tests.support.api_jwt import Answer
from tests.support.api_keys import key_of, row_of
from tests.support.second_factor import enrolled, unused_code
from tests.support.signin import signed_in
from tests.support.steps import make_user
from tests.support.wsgi import Program

LIST = "/admin/accounts/user/"
REASON = "You called us, ticket 4812"
HERE = ClientInfo("192.0.2.1", "curl/8")
# Of alice: primary, secondary and pending.
ADDRESSES = ("alice@example.org", "secret@work.example", "pending@work.example")


def alice_with_addresses() -> User:
    """Create alice with ``ADDRESSES``. The last two are also in her history, one in a reason."""
    alice = make_user("alice")
    users.confirm_email(alice, ADDRESSES[1])
    emails.add(alice, ADDRESSES[2], HERE)
    by_staff = Actor(HERE, name="carol", reason=f"Bob asked for {ADDRESSES[2]}")
    record(alice, events.ADDRESS_ADDED, by_staff, detail=ADDRESSES[1])
    return alice


def member(username: str, role: str) -> User:
    """Create a member of staff with a role: the name of a group, or "Superuser"."""
    staff = make_user(username, is_staff=True, is_superuser=role == "Superuser")
    if role != "Superuser":
        staff.groups.add(Group.objects.get(name=role))
    return User.objects.get(pk=staff.pk)


def group_with(name: str, *rights: str) -> Group:
    """Create a group that has ``rights``, the names of permissions."""
    group = Group.objects.create(name=name)
    group.permissions.set(Permission.objects.filter(codename__in=rights))
    return group


def desk(role: str = "Support", username: str = "carol") -> Client:
    """Return the browser of a signed-in member of staff with ``role``."""
    return signed_in(member(username, role))


def by_superuser(user: User, *names: str) -> None:
    """Let carol, a superuser, do one act after the other with ``user``."""
    browser = desk("Superuser")
    for name in names:
        assert act(browser, user, name).status_code == 302


def by_staff(user: Any, **fields: str) -> None:
    """Let carol, a superuser, post the form of ``user`` in the admin."""
    assert desk("Superuser").post(page_of(user), {"reason": REASON} | fields).status_code == 302


def page_of(account: Any) -> str:
    return f"/admin/accounts/user/{account.pk}/change/"


def staff_token(username: str, scope: str = "admin:read admin:write") -> str:
    """Return an access token of a member of staff, after both steps of a sign-in."""
    challenge = get_tokens(username, scope=scope)["challenge"]
    code = unused_code(User.objects.get(username=username))
    return str(second_step(challenge, code)["access"])


def token_of(role: str, username: str = "carol", **options: str) -> str:
    """Return an access token of a new member of staff with ``role`` and a second factor."""
    enrolled(member(username, role))
    return staff_token(username, **options)


def staff_calls(token: str, user: User) -> list[Any]:
    """Find people, view ``user`` and deactivate ``user`` over the staff API; return the answers."""
    path = f"admin/users/{user.pk}/"
    return [
        call("admin/users/", token=token),
        call(path, token=token),
        call(f"{path}deactivate/", {"reason": REASON}, token=token),
    ]


def act(browser: Client, account: Any, name: str, **fields: str) -> Any:
    """Send the form of an act, with ``REASON`` unless another reason is given."""
    return browser.post(f"{page_of(account)}{name}/", {"reason": REASON, "mode": "now"} | fields)


def choose(browser: Client, name: str, users: list[User], **fields: str) -> Any:
    """Choose an act for ``users`` in the list of people."""
    chosen = {"action": name, "_selected_action": [str(user.pk) for user in users]}
    return browser.post(LIST, chosen | fields)


def bulk_page(answer: Any) -> str:
    """Return the page of the bulk act to which the list of people redirects."""
    assert answer.url.startswith(f"{LIST}bulk/")
    return str(answer.url)


GROUPS = ("Auditor", "Support", "Manager", "Superuser")


def staff_of_every_role() -> dict[str, User]:
    clerk = make_user("clerk", is_staff=True)
    return {"Staff without a role": clerk} | {name: member(name.lower(), name) for name in GROUPS}


def people() -> dict[str, User]:
    """Return one account of every kind on which somebody may act."""
    bob = make_user("bob")
    bob.groups.add(writers := Group.objects.create(name="Writers"))
    writers.permissions.add(Permission.objects.get(codename="add_group"))
    former = member("former", "Manager")
    User.objects.filter(pk=former.pk).update(is_active=False)
    return {
        "a user": make_user("alice"),
        "a user with another right": bob,
        **{f"{name}, another": member(f"other-{name.lower()}", name) for name in GROUPS},
        "Manager, switched off": User.objects.get(pk=former.pk),
    }


def rows() -> list[Any]:
    """Return everything that an admin form could change."""
    groups = [(group.name, *group.permissions.values_list("pk")) for group in Group.objects.all()]
    users = User.objects.order_by("pk").values_list(
        "pk", "username", "email", "password", "is_active", "is_staff", "is_superuser"
    )
    held = list(User.user_permissions.through.objects.values_list("user", "permission"))
    return [*users, *groups, *held]


def carols_key(wanted: str = "act", role: str = "Support", *rights: str) -> str:
    """Return a key of carol that a superuser, owner, has allowed to use the staff API.

    ``rights``: the names of permissions that carol has beside her role.
    """
    carol = member("carol", role)
    carol.user_permissions.set(Permission.objects.filter(codename__in=rights))
    key = key_of(carol)
    target = f"{row_of(key).pk} {wanted}"
    assert act(desk("Superuser", "owner"), carol, "allow-key", target=target).status_code == 302
    return key


def in_bulk(
    token: str, *lines: bytes | dict[str, Any], client: Caller | None = None, **headers: str
) -> Answer:
    """Make the bulk call. Each line has ``REASON``, unless it has another or is bytes."""
    texts = [
        line if isinstance(line, bytes) else json.dumps({"reason": REASON} | line).encode()
        for line in lines
    ]
    return raw.call(
        client or Program(),
        f"{API}admin/users/bulk/",
        b"\n".join(texts),
        kind="application/x-ndjson",
        authorization=f"Bearer {token}",
        **headers,
    )


def results_of(answer: Answer) -> list[Answer]:
    """Return the results of a bulk call as answers of single calls; a refusal concerns all."""
    if answer.status != 200:
        return [answer]
    return [
        Answer(row["status"], {}, json.dumps(row["error"] or row).encode())
        for row in answer["results"]
    ]

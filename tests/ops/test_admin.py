"""Staff in the admin: who may change whom, and what is never shown."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.db.models.signals import pre_save
from django.test import Client

from accounts.users.models import User
from accounts.users.services import create_administrator
from tests.support.signin import signed_in
from tests.support.steps import address_of, is_signed_in, mail_to, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client: Client) -> User:
    """A superuser, who may change rights."""
    owner = create_administrator("owner", "owner@example.org", "!")
    signed_in(owner, client)
    return owner


def page(user: User) -> str:
    return f"/admin/accounts/user/{user.pk}/change/"


@pytest.mark.parametrize(
    "lookup",
    [
        {"password__startswith": "argon2"},
        {"username_key__regex": "("},
        {"last_login__year": "99999999999"},
    ],
)
def test_staff_do_not_read_a_digest_through_a_filter(
    client: Client, owner: User, lookup: dict[str, str]
) -> None:
    assert client.get("/admin/accounts/user/", {"is_active__exact": "0"}).status_code == 200
    assert client.get("/admin/accounts/user/", lookup).status_code == 400


AS_IT_IS = {"is_active": "on"}
RIGHTS = "The account’s rights were changed"
CHANGES = {
    "switched off": (dict, "The account was switched off"),
    "made staff": (lambda: {**AS_IT_IS, "is_staff": "on"}, RIGHTS),
    "made superuser": (lambda: {**AS_IT_IS, "is_superuser": "on"}, RIGHTS),
    "put into a group": (lambda: {**AS_IT_IS, "groups": support().pk}, RIGHTS),
    "given a permission": (
        lambda: {**AS_IT_IS, "user_permissions": Permission.objects.earliest("pk").pk},
        RIGHTS,
    ),
}


def support() -> Group:
    return Group.objects.create(name="Support")


@pytest.mark.parametrize("fields, told", CHANGES.values(), ids=CHANGES)
def test_a_change_of_rights_ends_the_persons_sessions_and_tells(
    client: Client, owner: User, fields: Callable[[], dict[str, object]], told: str
) -> None:
    alice = make_user("alice")
    browser = signed_in(alice)

    assert client.post(page(alice), fields()).status_code == 302

    assert not is_signed_in(browser)
    assert mail_to("alice").subject == f"authsite: {told}"
    assert "By: whoever runs authsite" in str(mail_to("alice").body)
    assert alice.activity.latest("id").actor == "owner"


def test_a_form_that_changes_nothing_ends_and_tells_nothing(client: Client, owner: User) -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    before = list(alice.activity.all())

    assert client.post(page(alice), AS_IT_IS).status_code == 302

    assert is_signed_in(browser)
    assert list(alice.activity.all()) == before


def test_a_change_of_a_groups_rights_is_one_of_each_of_its_members(
    client: Client, owner: User
) -> None:
    group, alice, bob = support(), make_user("alice"), make_user("bob")
    alice.groups.add(group)
    hers, his = signed_in(alice), signed_in(bob)
    form, permission = f"/admin/auth/group/{group.pk}/change/", Permission.objects.earliest("pk")

    client.post(form, {"name": "Helpers"})
    assert is_signed_in(hers), "a name gives no rights"
    client.post(form, {"name": "Helpers", "permissions": permission.pk})

    assert [is_signed_in(hers), is_signed_in(his)] == [False, True]
    assert mail_to("alice").subject == f"authsite: {RIGHTS}"


def test_who_changes_own_rights_stays_signed_in_there_and_nowhere_else(
    client: Client, owner: User
) -> None:
    elsewhere = signed_in(User.objects.get(pk=owner.pk))
    rights = {**AS_IT_IS, "is_staff": "on", "is_superuser": "on", "groups": support().pk}

    assert client.post(page(owner), rights).status_code == 302

    assert owner.groups.exists()
    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)


def test_a_password_changed_meanwhile_is_not_brought_back(client: Client, owner: User) -> None:
    alice = make_user("alice")

    def meanwhile(instance: User, **_more: object) -> None:
        User.objects.filter(pk=alice.pk).update(password="!", email=address_of("bob"))

    pre_save.connect(meanwhile, sender=User)
    try:
        client.post(page(alice), {})
    finally:
        pre_save.disconnect(meanwhile, sender=User)

    alice.refresh_from_db()
    assert (alice.is_active, alice.password, alice.email) == (False, "!", address_of("bob"))


def test_a_new_password_from_the_command_line_changes_nothing_else() -> None:
    read_before_typing = make_user("alice")
    User.objects.update(is_active=False)

    read_before_typing.set_password("slow comet over the harbour")
    read_before_typing.save()

    alice = User.objects.get()
    assert not alice.is_active
    assert alice.check_password("slow comet over the harbour")


@pytest.mark.parametrize("way", ["its page", "the list"])
def test_deleting_a_group_is_a_change_of_its_members_rights(
    client: Client, owner: User, way: str
) -> None:
    group, alice = support(), make_user("alice")
    alice.groups.add(group)
    browser = signed_in(alice)

    if way == "its page":
        client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    else:
        act = {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"}
        client.post("/admin/auth/group/", act)

    assert not Group.objects.exists()
    assert not is_signed_in(browser)
    assert alice.activity.filter(kind="rights_changed", actor="owner").count() == 1

"""Staff in the admin: who may change whom, and what is never shown."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.passwords.services import hash_password
from accounts.users.models import User
from accounts.users.services import create_administrator, create_user, hold_name
from tests.support.signin import signed_in

pytestmark = pytest.mark.django_db


def person(name: str, *, staff: bool = False) -> User:
    hold_name(name, until=None)
    user = create_user(name, hash_password("correct horse battery"))
    user.is_staff = staff
    user.save()
    return user


@pytest.fixture
def carol(client: Client) -> User:
    """Staff with every permission there is, but no superuser."""
    carol = person("carol", staff=True)
    carol.user_permissions.set(Permission.objects.all())
    signed_in(carol, client)
    return carol


def page(user: User) -> str:
    return f"/admin/accounts/user/{user.pk}/change/"


def test_no_digest_is_shown(client: Client, carol: User) -> None:
    assert "argon2" not in client.get(page(person("alice"))).text


def test_staff_give_themselves_and_others_no_rights(client: Client, carol: User) -> None:
    alice = person("alice")
    rights = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}

    for user in (carol, alice):
        client.post(page(user), rights)
        user.refresh_from_db()

    assert not carol.is_superuser
    assert not alice.is_staff
    assert not alice.is_superuser


def test_staff_do_not_touch_a_superuser(client: Client, carol: User) -> None:
    owner = create_administrator("owner", "owner@example.org", hash_password("correct horse"))

    assert client.post(page(owner), {}).status_code == 403
    owner.refresh_from_db()
    assert owner.is_active


def test_staff_give_a_group_no_rights(client: Client, carol: User) -> None:
    group = Group.objects.create(name="Support")
    carol.groups.add(group)
    everything = [permission.pk for permission in Permission.objects.all()]

    answer = client.post(
        f"/admin/auth/group/{group.pk}/change/", {"name": "Support", "permissions": everything}
    )

    assert answer.status_code == 403
    assert group.permissions.count() == 0


def test_staff_deactivate_an_ordinary_person(client: Client, carol: User) -> None:
    alice = person("alice")

    assert client.post(page(alice), {}).status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active


@pytest.mark.parametrize(
    "lookup",
    [
        {"password__startswith": "argon2"},
        {"username_key__regex": "("},
        {"last_login__year": "99999999999"},
    ],
)
def test_staff_do_not_read_a_digest_through_a_filter(
    client: Client, carol: User, lookup: dict[str, str]
) -> None:
    assert client.get("/admin/accounts/user/", lookup).status_code == 400


def test_staff_filter_by_what_the_page_offers(client: Client, carol: User) -> None:
    assert client.get("/admin/accounts/user/", {"is_active__exact": "0"}).status_code == 200
    assert client.get("/admin/accounts/user/", {"is_staff__exact": "no"}).status_code < 500

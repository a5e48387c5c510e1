"""Attacks on the admin: passwords alone, old sessions, and staff who take more rights."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db.models.signals import pre_save
from django.test import Client

from accounts.users.models import User
from accounts.users.services import create_administrator
from tests.support.administration import rows
from tests.support.second_factor import enrolled, take_second_step
from tests.support.second_steps import after_password, staff, with_factor
from tests.support.signin import signed_in
from tests.support.steps import (
    PASSWORD,
    address_of,
    is_signed_in,
    mail_to,
    make_staff,
    make_user,
    sign_in,
)
from tests.support.urls import ROUTES, address

pytestmark = pytest.mark.django_db

ADMIN = sorted(address(route) for route in ROUTES if route.startswith("admin/"))
RIGHTS = {"is_staff": "on", "is_superuser": "on"}


def opens_the_admin(browser: Client) -> bool:
    return browser.get("/admin/").status_code == 200


def page(user: Any) -> str:
    return f"/admin/accounts/user/{user.pk}/change/"


def test_a_password_alone_opens_no_admin_page() -> None:
    carol = staff()
    enrolled(carol)
    browser = after_password("carol")

    for path in ADMIN:
        answers = [browser.get(path), browser.post(path, {**RIGHTS, "password": PASSWORD})]
        for answer in answers:
            assert answer.status_code == 302, path
            assert answer["Location"].startswith(("/admin/login/", "/accounts/login/")), path
    take_second_step(browser, carol)
    assert opens_the_admin(browser)
    User.objects.update(is_staff=False, is_superuser=False)
    assert not opens_the_admin(browser), "losing the rights takes effect at once"


def test_a_session_from_before_a_promotion_does_not_open_the_admin() -> None:
    """Rights may be given in the database; a session without the second step stays out."""
    make_user("carol")
    browser = Client()
    sign_in(browser, "carol")
    assert is_signed_in(browser)

    for is_superuser in (False, True):
        User.objects.update(is_staff=True, is_superuser=is_superuser)
        assert not opens_the_admin(browser)


def test_a_user_without_rights_opens_no_admin_page() -> None:
    bob, _seed = with_factor("bob")
    browser, before = signed_in(bob), rows()

    for path in ADMIN:
        for answer in (browser.get(path), browser.post(path, RIGHTS)):
            assert answer.status_code in {302, 403, 404}, path
    assert browser.get("/admin/login/").status_code == 403
    assert rows() == before


def helper(*codenames: str) -> Client:
    """Return the browser of carol, a fully signed-in staff member with these permissions."""
    carol = make_user("carol", is_staff=True)
    carol.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return signed_in(User.objects.get(pk=carol.pk))


EVERYTHING = ("add", "change", "delete", "view")
ALL = [f"{act}_{what}" for act in EVERYTHING for what in ("user", "group", "permission")]


@pytest.mark.parametrize("kind", ["is_superuser", "is_staff"])
@pytest.mark.parametrize("fields", [{}, RIGHTS], ids=["none", "rights"])
def test_staff_with_every_permission_cannot_edit_superusers_or_staff(
    kind: str, fields: dict[str, str]
) -> None:
    browser = helper(*ALL)
    owner = make_user("owner", **{kind: True})
    before = rows()

    answer = browser.post(page(owner), fields)

    assert answer.status_code == 403
    assert rows() == before


@pytest.mark.parametrize("username", ["carol", "alice"])
def test_staff_cannot_give_rights_to_themselves_or_to_others(username: str) -> None:
    make_user("alice")
    browser, group = helper(*ALL), Group.objects.create(name="Owners")
    wanted = {
        **RIGHTS,
        "groups": group.pk,
        # A form with more than a hundred fields is refused, whatever it holds.
        "user_permissions": list(Permission.objects.values_list("pk", flat=True)[:9]),
        "username": "root",
        "email": "mallory@example.org",
        "password": "!",
    }
    before = rows()

    browser.post(page(User.objects.get(username=username)), wanted)
    form = f"/admin/auth/group/{group.pk}/change/"
    browser.post(form, {"name": "Owners", "permissions": [1, 2]})

    assert rows() == before
    assert not User.groups.through.objects.exists()


def test_view_permission_changes_nothing_and_no_bulk_action_deletes_users() -> None:
    alice = make_user("alice")
    group = Group.objects.get(name="Support").pk
    looks, owner = helper("view_user", "view_group"), signed_in(make_staff("owner"))
    before = rows()
    assert looks.get(page(alice)).status_code == 200

    for path, data in (
        (page(alice), {}),
        (page(alice).replace("change", "delete"), {"post": "yes"}),
        ("/admin/accounts/user/add/", {"username": "eve"}),
        ("/admin/auth/group/add/", {"name": "Eves"}),
        (f"/admin/auth/group/{group}/change/", {"name": "Eves", "permissions": [1]}),
        (f"/admin/auth/group/{group}/delete/", {"post": "yes"}),
    ):
        assert looks.post(path, data).status_code == 403, path
    chosen = {"_selected_action": [str(alice.pk), group], "post": "yes"}
    for browser, what in (
        (looks, "accounts/user"),
        (looks, "auth/group"),
        (owner, "accounts/user"),
    ):
        browser.post(f"/admin/{what}/", {"action": "delete_selected", **chosen})
        browser.post(f"/admin/{what}/", {"form-0-is_active": "", "_save": "1", **chosen})
    assert rows() == before


def test_the_admin_login_never_redirects_to_another_site() -> None:
    browser = signed_in(staff())

    for evil in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:1"):
        assert browser.get("/admin/login/", {"next": evil})["Location"] == "/admin/"
        assert "evil" not in Client().get("/admin/login/", {"next": evil})["Location"]


@pytest.fixture
def owner(client: Client) -> User:
    """A superuser, signed in with ``client``."""
    owner = create_administrator("owner", "owner@example.org", "!")
    signed_in(owner, client)
    return owner


def test_admin_filters_do_not_reveal_password_hashes(client: Client, owner: User) -> None:
    people = "/admin/accounts/user/"
    assert client.get(people, {"state": "locked"}).status_code == 200
    for lookup, value in (
        ("password__startswith", "argon2"),
        ("username_key__regex", "("),
        ("last_login__year", "99999999999"),
    ):
        assert client.get(people, {lookup: value}).status_code == 400, lookup


SUBJECTS = {
    "made staff": "You are now staff",
    "made superuser": "You are now a superuser",
    "put into a group": "Your rights were changed",
    "given a permission": "Your rights were changed",
}
CHANGES: dict[str, Callable[[], dict[str, Any]]] = {
    "made staff": lambda: {"is_staff": "on"},
    "made superuser": lambda: {"is_superuser": "on"},
    "put into a group": lambda: {"groups": helpers().pk},
    "given a permission": lambda: {"user_permissions": right("view_user")},
}


def helpers() -> Group:
    return Group.objects.create(name="Helpers")


def right(codename: str) -> int:
    return Permission.objects.get(codename=codename).pk


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_rights_revokes_the_users_sessions_and_notifies_them(
    client: Client, owner: User, change: str
) -> None:
    alice = make_user("alice")
    browser = signed_in(alice)
    before = alice.activity.count()
    assert client.post(page(alice), {}).status_code == 302
    assert is_signed_in(browser), "nothing was changed"
    assert alice.activity.count() == before

    assert client.post(page(alice), CHANGES[change]()).status_code == 302

    assert not is_signed_in(browser)
    assert mail_to("alice").subject == SUBJECTS[change]
    assert "A member of staff" in str(mail_to("alice").body)
    assert alice.activity.latest("id").actor == "owner"


@pytest.mark.parametrize("way", ["another permission", "its page", "the list"])
def test_changing_or_deleting_a_group_revokes_the_sessions_of_its_members(
    client: Client, owner: User, way: str
) -> None:
    group, alice, bob = helpers(), make_user("alice"), make_user("bob")
    alice.groups.add(group)
    hers, his = signed_in(alice), signed_in(bob)
    form = f"/admin/auth/group/{group.pk}/change/"

    client.post(form, {"name": "Friends"})
    assert is_signed_in(hers), "a group's name gives no rights"
    if way == "another permission":
        client.post(form, {"name": "Helpers", "permissions": right("view_user")})
    elif way == "its page":
        client.post(form.replace("change", "delete"), {"post": "yes"})
    else:
        act = {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"}
        client.post("/admin/auth/group/", act)

    assert [is_signed_in(hers), is_signed_in(his)] == [False, True]
    assert alice.activity.filter(kind="rights_changed", actor="owner").count() == 1


def test_changing_your_own_rights_keeps_only_the_current_session(
    client: Client, owner: User
) -> None:
    elsewhere = signed_in(User.objects.get(pk=owner.pk))
    rights = {**RIGHTS, "groups": helpers().pk}

    assert client.post(page(owner), rights).status_code == 302

    assert owner.groups.exists()
    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)


def test_saving_an_admin_form_does_not_restore_a_password_changed_meanwhile(
    client: Client, owner: User
) -> None:
    alice = make_user("alice")

    def meanwhile(instance: User, **_more: object) -> None:
        User.objects.filter(pk=alice.pk).update(password="!", email=address_of("bob"))

    pre_save.connect(meanwhile, sender=User)
    try:
        client.post(page(alice), {"is_staff": "on"})
    finally:
        pre_save.disconnect(meanwhile, sender=User)

    alice.refresh_from_db()
    assert (alice.is_staff, alice.password, alice.email) == (True, "!", address_of("bob"))


def test_setting_a_password_on_the_command_line_changes_no_other_field() -> None:
    read_before_typing = make_user("alice")
    User.objects.update(is_active=False)

    read_before_typing.set_password("slow comet over the harbour")
    read_before_typing.save()

    alice = User.objects.get()
    assert not alice.is_active
    assert alice.check_password("slow comet over the harbour")

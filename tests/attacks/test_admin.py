"""The admin's door and what is behind it: passwords alone, old sessions, borrowed rights."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.users.models import User
from tests.attacks.second_steps import half_way, staff, with_factor
from tests.house.test_urls import ROUTES, address
from tests.support.second import SETUP, enrolled, take_second_step
from tests.support.signin import set_up, signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_staff, make_user, sign_in

pytestmark = pytest.mark.django_db

ADMIN = sorted(address(route) for route in ROUTES if route.startswith("admin/"))
RIGHTS = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}


def enters_the_admin(browser: Client) -> bool:
    return browser.get("/admin/").status_code == 200


def page(user: Any) -> str:
    return f"/admin/accounts/user/{user.pk}/change/"


def rows() -> list[Any]:
    """Everything that a form of the admin could change."""
    groups = [(group.name, *group.permissions.values_list("pk")) for group in Group.objects.all()]
    users = User.objects.order_by("pk").values_list(
        "pk", "username", "email", "password", "is_active", "is_staff", "is_superuser"
    )
    held = list(User.user_permissions.through.objects.values_list("user", "permission"))
    return [*users, *groups, *held]


def test_a_password_alone_enters_no_page_of_the_admin() -> None:
    carol = staff()
    enrolled(carol)
    browser = half_way("carol")

    for path in ADMIN:
        answers = [browser.get(path), browser.post(path, {**RIGHTS, "password": PASSWORD})]
        for answer in answers:
            assert answer.status_code == 302, path
            assert answer["Location"].startswith(("/admin/login/", "/accounts/login/")), path
    take_second_step(browser, carol)
    assert enters_the_admin(browser)


def test_a_session_from_before_the_setting_does_not_enter_the_admin(settings: Any) -> None:
    staff()
    set_up(settings, second_factor="optional")
    browser = Client()
    sign_in(browser, "carol")
    assert enters_the_admin(browser)

    set_up(settings, second_factor="staff")

    for path in ADMIN:
        for answer in (browser.get(path), browser.post(path, RIGHTS)):
            assert answer.status_code in {302, 404}, path
    assert browser.get("/admin/", follow=True).redirect_chain[-1][0].startswith(SETUP)
    assert is_signed_in(browser), "the rest of the site is as it was"


def test_a_session_from_before_somebody_became_staff_does_not_enter_the_admin() -> None:
    """Whatever raised the rights, also past the site: no session of one step is enough."""
    make_user("carol")
    browser = Client()
    sign_in(browser, "carol")
    assert is_signed_in(browser)

    for is_superuser in (False, True):
        User.objects.update(is_staff=True, is_superuser=is_superuser)
        assert not enters_the_admin(browser)


def test_a_person_with_a_factor_and_no_rights_enters_no_page_of_the_admin() -> None:
    bob, _seed = with_factor("bob")
    browser, before = signed_in(bob), rows()

    for path in ADMIN:
        for answer in (browser.get(path), browser.post(path, RIGHTS)):
            assert answer.status_code in {302, 403, 404}, path
    assert browser.get("/admin/login/").status_code == 403
    assert rows() == before


def helper(*codenames: str) -> Client:
    """Carol's browser: staff with these permissions, signed in with all that is asked."""
    carol = make_user("carol", is_staff=True)
    carol.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return signed_in(User.objects.get(pk=carol.pk))


EVERYTHING = ("add", "change", "delete", "view")
ALL = [f"{act}_{what}" for act in EVERYTHING for what in ("user", "group", "permission")]


@pytest.mark.parametrize("kind", ["is_superuser", "is_staff"])
@pytest.mark.parametrize("fields", [{}, RIGHTS, {"is_active": "on"}], ids=["off", "rights", "on"])
def test_staff_with_every_permission_edit_no_superuser_and_no_staff(
    kind: str, fields: dict[str, str]
) -> None:
    browser = helper(*ALL)
    owner = make_user("owner", **{kind: True})
    before = rows()

    answer = browser.post(page(owner), fields)

    assert answer.status_code == 403
    assert rows() == before


@pytest.mark.parametrize("whom", ["carol", "alice"])
def test_staff_give_no_rights_to_themselves_or_to_others(whom: str) -> None:
    alice, browser = make_user("alice"), helper(*ALL)
    group = Group.objects.create(pk=1, name="Owners")
    wanted = {
        **RIGHTS,
        "groups": group.pk,
        # A form of more than a hundred fields is refused whatever is in it.
        "user_permissions": list(Permission.objects.values_list("pk", flat=True)[:9]),
        "username": "root",
        "email": "mallory@example.org",
        "password": "!",
    }
    before = rows()

    browser.post(page(User.objects.get(username=whom)), wanted)
    browser.post("/admin/auth/group/1/change/", {"name": "Owners", "permissions": [1, 2]})

    assert rows() == before
    assert not User.groups.through.objects.exists()
    browser.post(page(alice), {})
    alice.refresh_from_db()
    assert not alice.is_active, "they may switch an ordinary person off"


POSTS: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "a person": lambda user: (page(user), {}),
    "a person deleted": lambda user: (page(user).replace("change", "delete"), {"post": "yes"}),
    "a new person": lambda _user: ("/admin/accounts/user/add/", {"username": "eve"}),
    "a new group": lambda _user: ("/admin/auth/group/add/", {"name": "Eves"}),
    "a group": lambda _user: ("/admin/auth/group/1/change/", {"name": "Eves", "permissions": [1]}),
    "a group deleted": lambda _user: ("/admin/auth/group/1/delete/", {"post": "yes"}),
}


@pytest.mark.parametrize("post", POSTS.values(), ids=POSTS)
def test_who_may_only_look_posts_in_vain(
    post: Callable[[Any], tuple[str, dict[str, Any]]],
) -> None:
    alice = make_user("alice")
    Group.objects.create(pk=1, name="Support")
    browser, before = helper("view_user", "view_group"), rows()
    assert browser.get(page(alice)).status_code == 200

    path, data = post(alice)

    assert browser.post(path, data).status_code == 403
    assert rows() == before


def test_nobody_deletes_a_person_by_the_list_and_who_may_only_look_deletes_no_group() -> None:
    alice = make_user("alice")
    Group.objects.create(pk=1, name="Support")
    looks, owner = helper("view_user", "view_group"), signed_in(make_staff("owner"))
    before = rows()
    chosen = {"_selected_action": [str(alice.pk), "1"], "post": "yes"}

    for browser, what in (
        (looks, "accounts/user"),
        (looks, "auth/group"),
        (owner, "accounts/user"),
    ):
        browser.post(f"/admin/{what}/", {"action": "delete_selected", **chosen})
        browser.post(f"/admin/{what}/", {"form-0-is_active": "", "_save": "1", **chosen})

    assert rows() == before


def test_staff_who_lose_their_rights_are_out_at_once() -> None:
    carol = staff()
    browser = signed_in(carol)
    assert enters_the_admin(browser)

    User.objects.filter(pk=carol.pk).update(is_staff=False, is_superuser=False)

    assert not enters_the_admin(browser)


def test_next_after_the_admins_door_never_leaves_the_site() -> None:
    browser = signed_in(staff())

    for evil in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:1"):
        assert browser.get("/admin/login/", {"next": evil})["Location"] == "/admin/"
        assert "evil" not in Client().get("/admin/login/", {"next": evil})["Location"]

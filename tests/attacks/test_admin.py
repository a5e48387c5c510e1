"""The admin's door and what is behind it: passwords alone, old sessions, borrowed rights."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.sessions.models import LoginSession
from accounts.users.models import User
from tests.attacks.second_steps import REAUTHENTICATE, half_way, staff, with_factor
from tests.conftest import Clock
from tests.house.test_urls import ROUTES, address
from tests.support.second import CHALLENGE, SETUP, code_of, enrolled, seed_on, take_second_step
from tests.support.signin import set_up, signed_in
from tests.support.steps import PASSWORD, is_signed_in, make_user, sign_in

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


def test_basic_and_stock_forms_open_no_admin() -> None:
    staff()
    credentials = base64.b64encode(f"carol:{PASSWORD}".encode()).decode()
    basic = Client(headers={"authorization": f"Basic {credentials}"})

    posted = basic.post("/admin/login/", {"username": "carol", "password": PASSWORD})

    assert posted["Location"].startswith("/accounts/login/")
    assert not enters_the_admin(basic)


def signed_in_by_one_step(settings: Any) -> Client:
    """Carol's browser, from when nobody had to have a factor."""
    set_up(settings, second_factor="optional")
    browser = Client()
    assert sign_in(browser, "carol")["Location"] == "/"
    return browser


def test_a_session_from_before_the_setting_does_not_enter_the_admin(settings: Any) -> None:
    staff()
    browser = signed_in_by_one_step(settings)
    assert enters_the_admin(browser)

    set_up(settings, second_factor="staff")

    for path in ADMIN:
        for answer in (browser.get(path), browser.post(path, RIGHTS)):
            assert answer.status_code in {302, 404}, path
    assert browser.get("/admin/", follow=True).redirect_chain[-1][0].startswith(SETUP)
    assert is_signed_in(browser), "the rest of the site is as it was"


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_staff": True, "is_superuser": True}])
def test_a_session_from_before_somebody_became_staff_does_not_enter_the_admin(
    rights: dict[str, bool],
) -> None:
    """Whatever raised the rights, also past the site: no session of one step is enough."""
    carol, browser = make_user("carol"), Client()
    sign_in(browser, "carol")
    assert is_signed_in(browser)

    User.objects.filter(pk=carol.pk).update(**rights)

    assert not enters_the_admin(browser)


def test_the_way_from_an_old_session_into_the_admin_is_a_factor_and_no_password(
    settings: Any,
) -> None:
    carol = staff()
    seed = enrolled(carol)
    set_up(settings, second_factor="optional")
    browser = half_way("carol")
    browser.post(CHALLENGE, {"code": code_of(seed)})
    LoginSession.objects.update(amr=["pwd", "mail"])
    set_up(settings, second_factor="staff")
    assert not enters_the_admin(browser)
    assert REAUTHENTICATE in browser.get("/admin/", follow=True).redirect_chain[-1][0]

    browser.post(REAUTHENTICATE, {"password": PASSWORD})
    assert not enters_the_admin(browser)
    browser.post(REAUTHENTICATE, {"code": code_of(seed, 1)})
    assert enters_the_admin(browser)


def test_enrolment_leads_staff_into_the_admin_and_nobody_else() -> None:
    carol = staff()
    browser = Client()
    start = browser.get("/admin/", follow=True).redirect_chain[-1][0]
    answer = browser.post(start, {"login": "carol", "password": PASSWORD, "next": "/admin/"})
    assert answer["Location"] == SETUP
    browser.post(SETUP, {"code": code_of(seed_on(browser.get(SETUP).text))})
    assert enters_the_admin(browser)

    bob = signed_in(with_factor("bob")[0])
    assert not enters_the_admin(bob)
    assert bob.get("/admin/login/").status_code == 403
    assert carol.login_sessions.count() == 1


def test_a_person_with_a_factor_and_no_rights_enters_no_page_of_the_admin() -> None:
    bob, _seed = with_factor("bob")
    browser, before = signed_in(bob), rows()

    for path in ADMIN:
        for answer in (browser.get(path), browser.post(path, RIGHTS)):
            assert answer.status_code in {302, 403, 404}, path
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
    make_user("alice")
    browser = helper(*ALL)
    group = Group.objects.create(name="Owners")
    group.permissions.set(Permission.objects.all())
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

    assert rows() == before
    assert not User.groups.through.objects.exists()


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


@pytest.mark.parametrize("what", ["accounts/user", "auth/group"])
def test_who_may_only_look_acts_on_no_list_either(what: str) -> None:
    alice = make_user("alice")
    Group.objects.create(pk=1, name="Support")
    browser, before = helper("view_user", "view_group"), rows()
    chosen = {"_selected_action": [str(alice.pk), "1"], "post": "yes"}

    browser.post(f"/admin/{what}/", {"action": "delete_selected", **chosen})
    browser.post(f"/admin/{what}/", {"form-0-is_active": "", "_save": "1", **chosen})

    assert rows() == before


def test_a_superuser_deletes_no_person_by_the_list_either() -> None:
    alice, browser = make_user("alice"), signed_in(staff())
    act = {"action": "delete_selected", "_selected_action": str(alice.pk), "post": "yes"}

    browser.post("/admin/accounts/user/", act)

    assert User.objects.filter(username="alice").exists()


def test_staff_whose_browser_was_left_alone_act_after_a_fresh_proof_only(clock: Clock) -> None:
    alice, carol = make_user("alice"), staff()
    browser = signed_in(carol)
    clock.advance(minutes=11)
    before = rows()

    answer = browser.post(page(alice), {})

    assert answer["Location"].startswith(REAUTHENTICATE)
    assert rows() == before


def test_a_foreign_form_changes_nothing_in_the_admin() -> None:
    alice, carol = make_user("alice"), staff()
    browser = signed_in(carol, Client(enforce_csrf_checks=True))
    before = rows()

    assert browser.post(page(alice), {}).status_code == 403
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

"""Attacks on superuser rights that are taken for 30 minutes (``ADMIN_ELEVATION``)."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.activity.services import Actor
from accounts.administration import acts, roles
from accounts.administration.acts import ACTS
from accounts.administration.roles import NotAllowedOnStaff
from accounts.sessions.current import session_of
from accounts.sessions.models import LoginSession
from accounts.sessions.store import SessionStore
from accounts.tokens.authentication import Authentication
from accounts.users.models import User
from accounts.users.rights import groups_to_give, rights_of
from tests.administration.steps import REASON, act, member, page_of, staff_token
from tests.attacks.elevation_steps import (
    END,
    TAKE,
    elevated,
    has_superuser_rights,
    superuser,
    take,
)
from tests.attacks.key_steps import change_password
from tests.attacks.test_admin import rows
from tests.conftest import Clock
from tests.support.api import call
from tests.support.api_jwt import basic
from tests.support.second_factor import enrolled
from tests.support.signin import request_of, set_up, signed_in
from tests.support.steps import LOGOUT, PASSWORD, make_user
from tests.support.webauthn import options_on, registered

pytestmark = pytest.mark.django_db

TO_STAFF = {"is_staff": "on", "is_superuser": "on"}


@pytest.fixture(autouse=True)
def _elevation(settings: Any) -> None:
    set_up(settings, admin_elevation="on")


def user_of(browser: Client) -> User:
    """Return the user of a request of ``browser``, as views see it."""
    request = request_of(browser)
    request.session = SessionStore(browser.cookies["sessionid"].value)
    return session_of(request).user


def test_without_elevation_a_superuser_has_exactly_the_rights_of_a_manager() -> None:
    hidden = Group.objects.create(name="Hidden")
    browser, _passkey = superuser()
    User.objects.get(username="carol").groups.add(hidden, Group.objects.get(name="Support"))
    single = Permission.objects.get(codename="add_group")
    User.objects.get(username="carol").user_permissions.add(single)
    carol, manager = user_of(browser), member("bob", "Manager")

    assert (carol.is_superuser, carol.has_perm("auth.add_group")) == (False, False)
    assert carol.get_all_permissions() == manager.get_all_permissions()
    assert rights_of(carol) == rights_of(manager)
    assert set(groups_to_give(carol)) == set(groups_to_give(manager))
    assert roles.role_of(carol) is roles.Role.MANAGER
    assert not carol.has_module_perms("auth")


def test_without_elevation_no_page_gives_superuser_rights() -> None:
    browser, _passkey = superuser()
    owner, alice = member("owner", "Superuser"), make_user("alice")
    strong = Group.objects.create(name="Strong")
    strong.permissions.add(Permission.objects.get(codename="add_group"))
    before = rows()

    assert browser.post(page_of(owner), TO_STAFF).status_code == 403
    assert browser.post("/admin/auth/group/add/", {"name": "More"}).status_code == 403
    for name in ACTS:
        assert act(browser, owner, name).status_code == 403
    browser.post(page_of(alice), {**TO_STAFF, "is_staff": "", "groups": strong.pk})
    invitation = {"email": "dave@example.org", "days": "7", "is_staff": "on", "groups": strong.pk}
    browser.post("/admin/accounts/invitation/add/", invitation)

    assert rows() == before
    assert not User.objects.get(pk=alice.pk).groups.exists()


def test_an_act_without_elevation_reads_the_account_again_but_not_its_superuser_rights() -> None:
    """The request has read alice's account before somebody made her a superuser."""
    browser, _passkey = superuser()
    carol, alice = user_of(browser), make_user("alice")
    User.objects.filter(pk=alice.pk).update(is_superuser=True)

    with pytest.raises(NotAllowedOnStaff):
        acts.perform("deactivate", carol, Actor(), alice, reason=REASON)

    assert User.objects.get(pk=alice.pk).is_active


def test_a_passkey_and_a_reason_are_needed_at_that_moment(clock: Clock) -> None:
    browser, passkey = superuser()
    stolen = passkey.get(options_on(browser.get(TAKE).text))
    assert take(browser, passkey, " ").status_code == 200
    assert take(browser, passkey, "a" * 501).status_code == 200
    mallorys = registered(make_user("mallory"))
    assert take(browser, mallorys).status_code == 200
    for credential in ("", "[]"):
        form = {"reason": REASON, "credential": credential}
        assert browser.post(TAKE, form).status_code == 200
    clock.advance(minutes=6)
    assert browser.post(TAKE, {"reason": REASON, "credential": stolen}).status_code == 200

    assert not has_superuser_rights(browser)
    assert not LoginSession.objects.exclude(elevated_until=None).exists()
    clock.advance(minutes=30)
    assert take(browser, passkey).status_code == 302
    assert has_superuser_rights(browser)


def test_one_answer_of_a_passkey_elevates_once(clock: Clock) -> None:
    browser, passkey = superuser()
    credential = passkey.get(options_on(browser.get(TAKE).text))
    form = {"reason": REASON, "credential": credential}
    assert browser.post(TAKE, form).status_code == 302
    browser.post(END)

    assert browser.post(TAKE, form).status_code == 200

    assert not has_superuser_rights(browser)


def test_elevation_ends_after_30_minutes(clock: Clock) -> None:
    browser = elevated()
    clock.advance(minutes=29, seconds=59)
    assert has_superuser_rights(browser)

    clock.advance(seconds=1)

    assert not has_superuser_rights(browser)
    alice = make_user("alice")
    assert browser.post(page_of(alice), TO_STAFF).status_code == 302, "to the passkey again"
    assert not User.objects.get(pk=alice.pk).is_superuser


def lock(_carol: User, browser: Client) -> None:
    assert browser.post("/accounts/lockdown/").status_code < 400


def by_owner(carol: User, name: str) -> None:
    assert act(elevated("owner"), carol, name).status_code == 302


def demote(carol: User, _browser: Client) -> None:
    assert elevated("owner").post(page_of(carol), {"is_staff": "on"}).status_code == 302


ENDS: dict[str, Callable[[User, Client], Any]] = {
    "given up": lambda _carol, browser: browser.post(END),
    "signed out": lambda _carol, browser: browser.post(LOGOUT),
    "password changed": change_password,
    "locked": lock,
    "deactivated": lambda carol, _browser: by_owner(carol, "deactivate"),
    "signed out by staff": lambda carol, _browser: by_owner(carol, "end-sessions"),
    "no superuser any more": demote,
}


@pytest.mark.parametrize("end", ENDS)
def test_elevation_ends_with_its_session_and_with_changes_of_the_account(end: str) -> None:
    browser = elevated()
    carol = User.objects.get(username="carol")

    ENDS[end](carol, browser)

    # Nobody has superuser rights by an old cookie, even if the rights are given back.
    User.objects.filter(pk=carol.pk).update(is_superuser=True, is_staff=True, is_active=True)
    page = browser.get("/admin/auth/group/")
    assert page.status_code in {302, 403}
    assert not LoginSession.objects.filter(
        user=carol, ended_at=None, elevated_until__isnull=False
    ).exists()


def test_a_copied_cookie_of_an_elevated_session_has_no_superuser_rights() -> None:
    browser = elevated()
    thief = Client(headers={"user-agent": "Mozilla/5.0 (iPhone) Safari/604.1"})
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value

    assert thief.get("/admin/auth/group/").status_code == 302

    assert not LoginSession.objects.exclude(elevated_until=None).exists()


def test_another_session_of_the_same_superuser_is_not_elevated() -> None:
    browser = elevated()

    other = signed_in(User.objects.get(username="carol"))

    assert has_superuser_rights(browser)
    assert not has_superuser_rights(other)


def test_an_access_token_works_as_a_manager_even_while_a_browser_is_elevated() -> None:
    browser = elevated()
    enrolled(User.objects.get(username="carol"))
    owner, alice = member("owner", "Superuser"), make_user("alice")
    token = staff_token("carol")

    for user, status in ((owner, 403), (alice, 200)):
        path = f"admin/users/{user.pk}/deactivate/"
        assert call(path, {"reason": REASON}, token=token).status == status
    staff = {"email": "dave@example.org", "is_staff": True}
    assert call("admin/invitations/", staff, token=token).status == 403
    assert has_superuser_rights(browser)


def test_a_password_in_the_header_works_as_a_manager(settings: Any) -> None:
    set_up(settings, second_factor="optional", api_basic_password="on")
    member("carol", "Superuser")
    request = APIRequestFactory().get("/", headers={"authorization": basic("carol", PASSWORD)})

    user, _credentials = cast(Any, Authentication().authenticate(Request(request)))

    assert (user.holds_superuser, user.is_superuser) == (True, False)


@pytest.mark.parametrize("role", ["Manager", "Auditor"])
def test_only_superusers_can_take_superuser_rights(role: str) -> None:
    user = member("bob", role)
    passkey = registered(user)
    browser = signed_in(User.objects.get(pk=user.pk))
    options = options_on(browser.get("/accounts/reauthenticate/").text)
    form = {"reason": REASON, "credential": passkey.get(options)}

    assert (browser.get(TAKE).status_code, browser.post(TAKE, form).status_code) == (403, 403)
    assert not LoginSession.objects.exclude(elevated_until=None).exists()


def test_every_elevation_is_in_the_history_and_mailed_to_the_other_superusers() -> None:
    owner = member("owner", "Superuser")

    browser = elevated()
    browser.post(END)

    carol = User.objects.get(username="carol")
    own = carol.activity.get(kind="elevated")
    assert (own.reason, own.proof, own.actor) == (REASON, "passkey", "")
    assert carol.activity.filter(kind="elevation_ended").count() == 1
    told = owner.activity.get(kind="superuser_elevated")
    assert (told.detail, told.reason, told.actor) == ("carol", REASON, "carol")


def test_an_app_that_saves_the_user_of_a_request_takes_no_superuser_rights_away() -> None:
    browser, _passkey = superuser()
    carol = user_of(browser)
    assert not carol.is_superuser

    carol.save()

    assert User.objects.get(pk=carol.pk).is_superuser


def test_an_empty_group_of_managers_locks_no_superuser_out() -> None:
    browser, passkey = superuser()
    Group.objects.get(name="Manager").delete()
    assert browser.get("/admin/").status_code == 200

    assert take(browser, passkey).status_code == 302

    assert has_superuser_rights(browser)

"""Attacks on API keys that a superuser lets use the staff API."""

from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.apikeys.models import APIKey
from accounts.users.models import User
from tests.support.administration import REASON, act, desk, member, page_of, staff_token
from tests.support.api import Answer, call
from tests.support.api_keys import FORM, NEW, key_of, row_of
from tests.support.api_steps import status_and_code
from tests.support.clock import Clock
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in
from tests.support.steps import address_of, make_user, outbox

pytestmark = pytest.mark.django_db

TOO_WEAK = (401, "insufficient_user_authentication")


def allow(key: str, wanted: str = "act", by: str = "Superuser", name: str = "owner") -> Any:
    """Let a superuser allow ``key``, which belongs to carol."""
    carol = User.objects.get(username="carol")
    return act(desk(by, name), carol, "allow-key", target=f"{row_of(key).pk} {wanted}")


def carols_key(role: str = "Support", wanted: str = "act") -> str:
    """Return a key of carol that may use the staff API."""
    key = key_of(member("carol", role))
    assert allow(key, wanted).status_code == 302
    return key


def calls(key: str, user: Any) -> list[Answer]:
    deactivate = f"admin/users/{user.pk}/deactivate/"
    return [
        call("admin/users/", token=key),
        call(f"admin/users/{user.pk}/", token=key),
        call(deactivate, {"reason": REASON}, token=key),
    ]


def may_use_staff_api(key: str) -> bool:
    """Return whether a call of the staff API with ``key`` succeeds."""
    return call("admin/users/", token=key).status == 200


def test_an_allowed_key_has_the_role_of_its_owner_and_no_more(clock: Clock) -> None:
    key, alice = carols_key(), make_user("alice")
    clock.advance(days=5)

    assert [answer.status for answer in calls(key, alice)] == [200, 200, 200]
    assert status_and_code(calls(key, User.objects.get(username="owner"))[-1])[0] == 403
    assert call("admin/invitations/", token=key).code == "not_in_role"
    acted = alice.activity.get(kind="switched_off")
    assert (acted.actor, acted.key) == ("carol", row_of(key).label)
    assert call(f"users/{alice.pk}/", token=key).status == 404


def test_a_key_that_may_only_read_cannot_act() -> None:
    key, alice = carols_key(wanted="read"), make_user("alice")

    *read, acted = calls(key, alice)

    assert [answer.status for answer in read] == [200, 200]
    assert status_and_code(acted) == (403, "insufficient_scope")


def test_no_other_key_of_the_same_owner_may_use_the_staff_api() -> None:
    carols_key()
    other = key_of(User.objects.get(username="carol"), "admin:read admin:write read write")

    assert {status_and_code(answer) for answer in calls(other, make_user("alice"))} == {TOO_WEAK}


@pytest.mark.parametrize("role", ["Auditor", "Support", "Manager"])
def test_only_superusers_allow_keys(role: str) -> None:
    key = key_of(member("carol", "Auditor"))

    assert allow(key, by=role, name="bob").status_code == 403

    assert not may_use_staff_api(key)


def test_superusers_allow_neither_their_own_keys_nor_those_of_users_nor_any_over_the_api() -> None:
    carol = member("carol", "Superuser")
    own, browser = key_of(carol), signed_in(carol)
    alice = make_user("alice")
    alices = key_of(alice)

    assert act(browser, carol, "allow-key", target=f"{row_of(own).pk} act").status_code == 403
    page = act(browser, alice, "allow-key", target=f"{row_of(alices).pk} act")
    assert page.status_code in {200, 409}
    enrolled(carol)
    bobs = key_of(member("bob", "Support"))
    body = {"reason": REASON, "target": f"{row_of(bobs).pk} act"}
    path = f"admin/users/{User.objects.get(username='bob').pk}/allow-key/"
    assert call(path, body, token=staff_token("carol")).status == 404
    browser.post(NEW, FORM | {"admin": "write", "scope": "admin:write"})

    assert not APIKey.objects.exclude(staff_scope="").exists()


@pytest.mark.parametrize("target", ["", "x", "x act", "{0}", "{0} all", "{0} act act", "\0 act"])
def test_a_malformed_choice_allows_nothing(target: str) -> None:
    key = key_of(member("carol", "Support"))
    carol = User.objects.get(username="carol")

    page = act(desk("Superuser", "owner"), carol, "allow-key", target=target.format(row_of(key).pk))

    assert page.status_code in {200, 400}
    assert not may_use_staff_api(key)


def withdraw(carol: User) -> None:
    owner = signed_in(User.objects.get(username="owner"))
    assert act(owner, carol, "withdraw-key").status_code == 302


def by_owner(**fields: Any) -> Any:
    """Return an act in which another superuser changes carol's rights."""

    def change(carol: User) -> None:
        owner = signed_in(User.objects.get(username="owner"))
        assert owner.post(page_of(carol), fields).status_code == 302

    return change


def become_a_manager(carol: User) -> None:
    by_owner(is_staff="on", groups=Group.objects.get(name="Manager").pk)(carol)


def lose_the_role_unseen(carol: User) -> None:
    Group.objects.get(name="Support").permissions.clear()


ENDS = {
    "withdrawn": withdraw,
    "staff no more": by_owner(),
    "another role": become_a_manager,
    "role lost in the database": lose_the_role_unseen,
    "deactivated": lambda carol: User.objects.filter(pk=carol.pk).update(is_active=False),
    "key removed": lambda carol: signed_in(carol).post("/accounts/lockdown/"),
}


@pytest.mark.parametrize("end", ENDS)
def test_access_ends_with_the_role_the_account_and_the_key(end: str) -> None:
    key = carols_key()
    assert may_use_staff_api(key)

    ENDS[end](User.objects.get(username="carol"))

    assert not may_use_staff_api(key)


def test_a_key_must_be_allowed_again_after_rights_are_given_back() -> None:
    key = carols_key()
    carol = User.objects.get(username="carol")
    by_owner()(carol)
    support = Group.objects.get(name="Support").pk

    by_owner(is_staff="on", groups=support)(carol)

    assert not may_use_staff_api(key)
    assert carol.activity.filter(kind="key_disallowed").exists()


def test_who_allowed_a_key_and_why_is_in_both_histories_and_mailed() -> None:
    other = member("dave", "Superuser")

    key = carols_key()
    withdraw(User.objects.get(username="carol"))

    carol, owner = (User.objects.get(username=name) for name in ("carol", "owner"))
    for kind in ("key_allowed", "key_disallowed"):
        row = carol.activity.get(kind=kind)
        assert (row.actor, row.reason, row.detail) == ("owner", REASON, row_of(key).label)
    assert owner.activity.filter(kind="staff_acted", reason=REASON).count() == 2
    assert other.activity.filter(kind="staff_changed", reason=REASON).count() == 2
    told = [mail for mail in outbox() if mail.to == address_of("carol")]
    assert len([mail for mail in told if "staff API" in mail.subject]) == 2

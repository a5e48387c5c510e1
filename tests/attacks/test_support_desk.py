"""Attacks by staff: acts on accounts with more rights, acts without a right, and two at once."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.administration import acts
from accounts.administration.acts import ACTS
from accounts.administration.roles import AlreadyDone, JustSent, NotAllowedOnStaff, NotInRole
from accounts.mail.services import deliver_due
from accounts.sessions.models import LoginSession
from accounts.twofactor.models import Authenticator
from accounts.users.models import User
from tests.support.administration import REASON, act, desk, member, page_of, rows
from tests.support.client import together
from tests.support.clock import Clock
from tests.support.second_factor import (
    RECOVERY_CODES,
    recovery_codes_on,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import LOGOUT, address_of, make_user, sign_in_twice
from tests.support.urls import ROUTES, address

pytestmark = pytest.mark.django_db

REAUTHENTICATE = "/accounts/reauthenticate/"
RIGHTS = {"is_staff": "on", "is_superuser": "on"}
ROUTES_TO_READ = "admin/accounts/user/<uuid:id>/change/details/"
HIGHER = {"Support": ("Auditor", "Support", "Manager", "Superuser"), "Manager": ("Superuser",)}


@pytest.mark.parametrize("role", HIGHER)
def test_staff_cannot_act_on_staff_with_more_rights_nor_on_themselves(role: str) -> None:
    carol = member("carol", role)
    browser = signed_in(carol)
    targets = [carol, *(member(f"m-{name.lower()}", name) for name in HIGHER[role])]
    before, told = rows(), Activity.objects.filter(kind="staff_acted").count()

    for target in targets:
        for name in ACTS:
            assert act(browser, target, name).status_code == 403, (target, name)
            assert browser.get(f"{page_of(target)}{name}/").status_code == 403

    assert rows() == before
    assert Activity.objects.filter(kind="staff_acted").count() == told
    assert LoginSession.objects.filter(user=carol, ended_at=None).exists()


def test_support_cannot_act_on_a_user_who_has_a_right_that_support_lacks() -> None:
    alice = make_user("alice")
    alice.user_permissions.add(Permission.objects.get(codename="add_group"))

    assert act(desk("Support"), alice, "deactivate").status_code == 403

    assert User.objects.get(pk=alice.pk).is_active


@pytest.mark.parametrize("role", ["Auditor", "nothing"])
def test_staff_who_only_read_can_post_nothing_anywhere_in_the_admin(role: str) -> None:
    Group.objects.create(name="nothing")
    alice, browser = make_user("alice"), desk(role)
    before = rows()
    known = {address(route) for route in ROUTES if route.startswith("admin/")}
    acting = {f"{page_of(alice)}{name}/" for name in ACTS}

    # Auditors may give a reason to read: tests/attacks/test_auditors.py.
    reading = {address(ROUTES_TO_READ), "/admin/login/", "/admin/logout/"}
    for path in (known | acting | {page_of(alice)}) - reading:
        answer = browser.post(path, {**RIGHTS, "reason": REASON, "mode": "now", "name": "x"})
        assert answer.status_code == 403, path

    assert rows() == before
    assert not alice.activity.filter(actor="carol").exists()


def test_managers_give_no_groups_with_more_rights_than_their_own() -> None:
    strong = Group.objects.create(name="Strong")
    strong.permissions.add(Permission.objects.get(codename="add_group"))
    shop = Group.objects.create(name="Shop admins")  # no rights here, but perhaps elsewhere
    support = Group.objects.get(name="Support")
    browser, alice = desk("Manager"), make_user("alice")
    shop.user_set.add(alice)

    for group in (strong, shop):
        page = browser.post(page_of(alice), {"is_staff": "on", "groups": group.pk})
        assert "Select a valid choice" in page.text
    single = Permission.objects.get(codename="add_group").pk
    wanted = {**RIGHTS, "groups": support.pk, "user_permissions": single}
    assert browser.post(page_of(alice), wanted).status_code == 302

    alice = User.objects.get(pk=alice.pk)
    assert set(alice.groups.all()) == {support, shop}, "what managers cannot give stays"
    assert (alice.is_staff, alice.is_superuser) == (True, False)
    assert not alice.user_permissions.exists()


def test_managers_cannot_change_their_own_rights_nor_those_of_superusers() -> None:
    carol = member("carol", "Manager")
    browser, before = signed_in(carol), rows()

    for target in (carol, member("owner", "Superuser")):
        before = rows()
        assert browser.post(page_of(target), RIGHTS).status_code == 403
        assert rows() == before


def test_acts_need_a_recent_second_factor(clock: Clock) -> None:
    alice, browser = make_user("alice"), desk("Support")
    clock.advance(minutes=5, seconds=1)
    form = f"{page_of(alice)}deactivate/"
    assert browser.get(form).url.startswith("/accounts/reauthenticate/"), "opening the form"
    clock.advance(minutes=5)

    assert act(browser, alice, "deactivate").url.startswith("/accounts/reauthenticate/")

    assert User.objects.get(pk=alice.pk).is_active


def _added(_browser: Client, _new: Authenticator) -> None:
    pass


def _shown(browser: Client, new: Authenticator) -> None:
    assert browser.post(REAUTHENTICATE, {"code": unused_code(new.user)}).status_code == 302


def _removed(browser: Client, new: Authenticator) -> None:
    _shown(browser, new)
    assert browser.post(f"/accounts/2fa/totp/{new.pk}/", {"remove": "1"}).status_code == 302
    assert not Authenticator.objects.filter(pk=new.pk).exists()


def _recovery_code(browser: Client, _new: Authenticator) -> None:
    browser.post(RECOVERY_CODES, {"new": "1"})
    code = recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]
    assert browser.post(REAUTHENTICATE, {"code": code}).status_code == 302


@pytest.mark.parametrize("use", [_added, _shown, _removed, _recovery_code])
def test_a_factor_that_was_added_in_the_session_does_not_count_for_acts(
    use: Callable[[Client, Authenticator], None],
) -> None:
    """A thief who takes over a session of staff has ten minutes to add one."""
    alice, browser = make_user("alice"), desk("Support")
    carol = User.objects.get(username="carol")
    set_up_authenticator(browser)
    use(browser, carol.authenticator_set.latest("pk"))

    page = act(browser, alice, "deactivate")

    assert (page.status_code, "Sign in again first" in page.text) == (403, True)
    assert User.objects.get(pk=alice.pk).is_active
    browser.post(LOGOUT)
    sign_in_twice(browser, carol)
    assert act(browser, alice, "deactivate").status_code == 302


def test_an_act_uses_the_rights_that_both_have_now_not_those_of_a_minute_ago() -> None:
    """The request has read both accounts before somebody else changed them."""
    carol, alice = member("carol", "Support"), make_user("alice")

    User.objects.filter(pk=alice.pk).update(is_staff=True)
    with pytest.raises(NotAllowedOnStaff):
        acts.perform("deactivate", carol, Actor(), alice, reason=REASON)
    User.objects.filter(pk=alice.pk).update(is_staff=False)
    User.objects.filter(pk=carol.pk).update(is_active=False)
    with pytest.raises(NotInRole):
        acts.perform("deactivate", carol, Actor(), alice, reason=REASON)

    assert User.objects.get(pk=alice.pk).is_active


def test_a_reason_cannot_carry_markup_into_pages_or_emails() -> None:
    alice, browser = make_user("alice"), desk("Support")

    act(browser, alice, "send-reset", reason='<img src=x onerror="alert(1)">')

    for page in (signed_in(alice).get("/accounts/activity/"), browser.get(page_of(alice))):
        assert "<img src=x" not in page.text
    deliver_due()
    sent = [str(email.message()) for email in mail.outbox if email.to == [address_of("alice")]]
    told = [text for text in sent if "Why" in text]
    assert len(told) == 2
    for text in told:
        assert "<img src=3Dx" not in text.partition("text/html")[2]
        assert "&lt;img" in text


def test_every_superuser_is_mailed_when_staff_are_switched_off() -> None:
    owner, other = member("owner", "Superuser"), member("other", "Superuser")
    helper = member("helper", "Support")

    act(signed_in(owner), helper, "deactivate")

    for root in (owner, other):
        row = root.activity.get(kind="staff_changed")
        assert (row.detail, row.actor, row.reason) == ("helper", "owner", REASON)


def test_two_members_of_staff_send_one_link() -> None:
    alice = make_user("alice")
    acts.perform("send-reset", member("carol", "Support"), Actor(), alice, reason=REASON)

    with pytest.raises(JustSent):
        acts.perform("send-reset", member("dave", "Support"), Actor(), alice, reason=REASON)

    assert alice.activity.filter(kind="reset_sent").count() == 1


@pytest.mark.parametrize("meanwhile", ["is_staff", "groups"])
def test_rights_that_somebody_else_has_changed_meanwhile_are_not_overwritten(
    meanwhile: str,
) -> None:
    alice, browser = make_user("alice"), desk("Superuser")
    seen = browser.get(f"{page_of(alice)}?rights=1").context["adminform"].form.seen
    if meanwhile == "groups":
        alice.groups.add(Group.objects.get(name="Support"))
    else:
        User.objects.filter(pk=alice.pk).update(is_staff=True)
    before = rows()

    answer = browser.post(page_of(alice), {"is_superuser": "on", "seen": seen})

    assert "Somebody else has changed these rights meanwhile." in answer.content.decode()
    assert rows() == before


def at_once(*orders: tuple[User, User]) -> list[bool]:
    """Let each first user switch off the second, all at the same moment; return who succeeded."""

    # Each request has read the accounts before the other one changes them.
    read = [[User.objects.get(pk=row.pk) for row in order] for order in orders]

    def run(number: int) -> bool:
        staff, user = read[number]
        try:
            acts.perform("deactivate", staff, Actor(), user, reason=REASON)
        except (AlreadyDone, NotInRole):
            return False
        return True

    return together(len(orders), run)


@pytest.mark.django_db(transaction=True)
def test_of_two_members_of_staff_who_act_at_once_one_is_told_that_it_is_done() -> None:
    alice = make_user("alice")
    carol, dave = member("carol", "Superuser"), member("dave", "Superuser")

    assert sorted(at_once((carol, alice), (dave, alice))) == [False, True]

    assert alice.activity.filter(kind="switched_off").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_superusers_cannot_switch_each_other_off_at_once() -> None:
    carol, dave = member("carol", "Superuser"), member("dave", "Superuser")

    assert sorted(at_once((carol, dave), (dave, carol))) == [False, True]

    assert User.objects.filter(is_active=True).count() == 1

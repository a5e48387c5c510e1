"""Attacks by invitation: more rights than the inviter has, other people's invitations, probing."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.services import Actor
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.throttle.limits import STAFF_INVITE
from accounts.throttle.models import StoredBudget
from accounts.throttle.services import hit
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.invitations import (
    INVITE,
    LIST,
    accept,
    exists,
    invite,
    invited_link,
    staff_with,
    superuser,
    support,
)
from tests.support.openid_provider import OpenIDProvider, Person
from tests.support.signin import signed_in
from tests.support.social import configured, round_trip
from tests.support.steps import PASSWORD, address_of, make_user, outbox

pytestmark = pytest.mark.django_db


def editors() -> Group:
    """Create a group that may change groups."""
    group = Group.objects.create(name="Editors")
    group.permissions.add(Permission.objects.get(codename="change_group"))
    return group


def rights_of(name: str = "dave") -> tuple[list[str], bool]:
    user = User.objects.get(username=name)
    return user.group_names, user.is_staff


def test_staff_without_the_right_to_invite_can_neither_see_nor_send_nor_revoke_invitations() -> (
    None
):
    invite(superuser("owner")[1])
    form = f"{LIST}{Invitation.objects.get().pk}/"
    _carol, browser = staff_with("view_user", "change_user")

    for path in (LIST, INVITE, f"{form}delete/", f"{form}again/"):
        assert browser.get(path).status_code == 403, path
        assert browser.post(path, {"email": address_of("eve"), "days": "7"}).status_code == 403

    assert Invitation.objects.get().email == address_of("dave")


def test_support_cannot_give_rights_by_invitation() -> None:
    carol, browser = support()
    group = editors()

    invite(browser, groups=[group.pk], is_staff="on", is_superuser="on")

    accept(invited_link())
    assert rights_of() == ([], False)
    for rights in ({"groups": [group]}, {"is_staff": True}):
        with pytest.raises(invitations.MoreThanOwnRights):
            invitations.invite(
                carol, address_of("eve"), days=1, actor=invitations.Actor(), **rights
            )


def test_a_manager_gives_no_group_with_more_rights_than_their_own() -> None:
    group = editors()
    Permission.objects.get_or_create(
        codename="manage_user",
        content_type=Permission.objects.get(codename="view_user").content_type,
    )
    carol, browser = staff_with("add_invitation", "manage_user")

    assert "Editors" not in browser.get(INVITE).text
    carol.user_permissions.add(Permission.objects.get(codename="change_group"))
    assert "Editors" in browser.get(INVITE).text
    invite(browser, groups=[group.pk])
    link = invited_link()
    carol.user_permissions.remove(Permission.objects.get(codename="change_group"))

    accept(link)

    assert rights_of() == ([], False), "carol does not have the right any more"


def test_rights_that_the_inviter_has_lost_meanwhile_are_not_given() -> None:
    carol, browser = superuser()
    invite(browser, groups=[editors().pk], is_staff="on")
    link = invited_link()
    carol.user_permissions.set(Permission.objects.filter(codename="add_invitation"))
    User.objects.update(is_superuser=False)

    accept(link)

    assert rights_of() == ([], False)


@pytest.mark.parametrize("lost", ["is_active", "is_staff", "the right"])
def test_an_invitation_is_void_if_its_inviter_may_not_invite_any_more(lost: str) -> None:
    carol, browser = support()
    invite(browser)
    link = invited_link()
    if lost == "the right":
        carol.user_permissions.clear()
    else:
        User.objects.update(**{lost: False})

    assert accept(link).status_code == 404
    assert not exists()


def test_locking_a_staff_account_revokes_the_invitations_that_a_thief_has_sent_from_it() -> None:
    carol, thief = superuser()
    invite(thief, "mallory", is_staff="on")
    link = invited_link()

    signed_in(carol).post("/accounts/lockdown/")

    User.objects.filter(pk=carol.pk).update(password=PASSWORD)
    assert accept(link, "mallory").status_code == 404
    assert not exists("mallory")


def test_inviting_reveals_neither_by_its_answer_nor_by_its_work_whether_an_account_exists() -> None:
    make_user("alice")
    _carol, browser = support()
    seen = []
    for name in ("alice", "nobody"):
        with CaptureQueriesContext(connection) as queries:
            answer = invite(browser, name)
        page = browser.get(LIST).text
        shown = page.count(address_of(name))
        seen.append((answer.status_code, answer.headers["Location"], len(queries), shown))

    assert seen[0] == seen[1]
    to_alice, to_nobody = outbox()[-2:]
    assert (to_alice.to, to_nobody.to) == (address_of("alice"), address_of("nobody"))
    assert "already have an account" in to_alice.subject
    assert "/accounts/invitation/" not in to_alice.to_json()
    assert "/accounts/invitation/" in to_nobody.action_url


def test_an_address_that_got_an_account_meanwhile_makes_the_link_invalid() -> None:
    invite(support()[1])
    link = invited_link()
    alice = make_user("alice")
    alice.emails.create(email=address_of("dave"), key=address_of("dave"))

    assert accept(link).status_code == 404
    assert not exists()


def test_an_unverified_address_of_a_provider_accepts_no_invitation(
    settings: Any, op: OpenIDProvider
) -> None:
    configured(settings, op.setting(), signup="invite")
    invite(support()[1])
    mallory = Person("m", address_of("dave"), email_verified=False, username="mallory")

    assert round_trip(Client(), op, mallory).url != "/"

    assert User.objects.count() == 1
    assert Invitation.objects.exists()


def test_support_can_neither_revoke_nor_resend_an_invitation_that_gives_rights(
    clock: Clock,
) -> None:
    invite(superuser("owner")[1], is_staff="on")
    link, given = invited_link(), Invitation.objects.get()
    _carol, browser = support()
    clock.advance(minutes=2)

    for form in ("delete", "again"):
        assert browser.post(f"{LIST}{given.pk}/{form}/").status_code == 403
    clock.advance(minutes=2)
    invite(browser)

    accept(link)
    assert rights_of() == ([], True)


def test_an_invitation_that_was_revoked_meanwhile_is_not_sent_again() -> None:
    carol, browser = support()
    invite(browser)
    seen = Invitation.objects.get()
    invitations.revoke(Invitation.objects.get(), carol, Actor())
    StoredBudget.objects.all().delete()

    with pytest.raises(invitations.InvitationEnded):
        invitations.send_again(seen, carol, Actor())

    assert not Invitation.objects.exists()


def test_one_account_comes_of_an_invitation_however_often_its_link_is_used() -> None:
    invite(support()[1])
    link = invited_link()

    answers = [accept(link, name).status_code for name in ("dave", "mallory")]

    assert answers == [302, 404]
    assert not exists("mallory")


def test_a_member_of_staff_sends_a_limited_number_of_invitations(clock: Clock) -> None:
    carol, browser = support()
    invite(browser)
    assert invite(browser).status_code == 429, "once a minute to an address"
    for _ in range(STAFF_INVITE.burst - 2):
        hit(STAFF_INVITE.of(carol.pk))

    answers = [invite(browser, f"dave{n}").status_code for n in range(2)]

    assert answers == [302, 429]

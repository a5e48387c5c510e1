"""Invitations: staff send them, and the invited person creates an account."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.invitations.models import Invitation
from accounts.users.models import User
from tests.support.administration import REASON, staff_token, token_of
from tests.support.api import call
from tests.support.invitations import LIST, accept, exists, invite, invited_link, superuser, support
from tests.support.openid_provider import Person
from tests.support.signin import set_up, signed_in
from tests.support.social import configured, round_trip
from tests.support.steps import (
    PASSWORD,
    SIGNUP,
    address_of,
    confirm,
    is_signed_in,
    mail_to,
    outbox,
    sign_up,
)


@pytest.mark.parametrize("mode", ["open", "invite"])
def test_an_invited_person_chooses_a_username_and_password_and_is_signed_in(settings, mode):
    set_up(settings, signup=mode)
    _carol, browser = support()
    invite(browser)
    assert address_of("dave") in browser.get(LIST).text
    dave, link = Client(), invited_link()
    dave.get(link)
    assert not exists(), "opening the link creates nothing"

    assert accept(link, client=dave)["Location"] == "/"

    assert is_signed_in(dave)
    user = User.objects.get(username="dave")
    assert (user.email, user.is_staff) == (address_of("dave"), False)
    assert Client().get(link).status_code == 404
    assert address_of("dave") not in browser.get(LIST).text


def test_a_taken_username_or_a_weak_password_leaves_the_link_valid():
    invite(support()[1])
    link = invited_link()

    for username, password in (("carol", PASSWORD), ("dave", "dave@example.org")):
        Client().post(link, {"username": username, "password1": password})
        assert not exists()

    accept(link)
    assert exists()


def test_a_superuser_invites_a_colleague_who_joins_groups_and_adds_a_second_factor_first():
    group = Group.objects.create(name="Editors")
    invite(superuser()[1], groups=[group.pk], is_staff="on")
    dave = Client()

    answer = accept(invited_link(), client=dave)

    assert answer["Location"] == "/accounts/2fa/totp/setup/"
    user = User.objects.get(username="dave")
    assert user.is_staff
    assert list(user.groups.all()) == [group]
    assert mail_to("carol").subject == events.STAFF_CHANGED.subject


def test_an_ordinary_sign_up_with_the_invited_address_accepts_the_invitation():
    group = Group.objects.create(name="Editors")
    invite(superuser()[1], groups=[group.pk])
    dave = Client()
    sign_up(dave, "dave")

    confirm(dave, "dave")

    assert list(User.objects.get(username="dave").groups.all()) == [group]
    assert not Invitation.objects.exists()


def test_a_new_invitation_replaces_the_earlier_one_and_an_expired_one_is_deleted(clock):
    _carol, browser = support()
    invite(browser)
    first = invited_link()
    clock.advance(minutes=2)
    invite(browser, days="3")

    assert Client().get(first).status_code == 404
    assert Client().get(invited_link()).status_code == 200
    clock.advance(days=3)
    assert Client().get(invited_link()).status_code == 404
    call_command("prune")
    assert not Invitation.objects.exists()


def test_staff_send_an_invitation_again_with_a_new_link_and_the_same_rights(clock):
    group = Group.objects.create(name="Editors")
    _carol, browser = superuser()
    invite(browser, groups=[group.pk], is_staff="on", days="3")
    first, again = invited_link(), f"{LIST}{Invitation.objects.get().pk}/again/"
    clock.advance(days=2)
    browser = signed_in(User.objects.get(username="carol"))
    browser.get(again)
    assert Client().get(first).status_code == 200, "opening the form changes nothing"

    browser.post(again)

    assert Client().get(first).status_code == 404
    clock.advance(days=2)
    accept(invited_link())
    user = User.objects.get(username="dave")
    assert (user.is_staff, list(user.groups.all())) == (True, [group])
    browser = signed_in(User.objects.get(username="carol"))
    before = len(outbox())
    browser.post(again)
    assert len(outbox()) == before


def test_staff_revoke_an_invitation_and_hear_if_it_has_ended_meanwhile():
    _carol, browser = support()
    invite(browser)
    link, form = invited_link(), f"{LIST}{Invitation.objects.get().pk}/delete/"

    browser.post(form)

    assert accept(link).status_code == 404
    assert "accepted or revoked meanwhile" in browser.post(form, follow=True).content.decode()


def test_sign_up_by_invitation_refuses_everybody_else_on_the_page_over_the_api_and_by_a_provider(
    settings, op
):
    configured(settings, op.setting(), signup="invite")
    person = Person("dave-1", email=address_of("dave"), username="dave")

    page = Client().get(SIGNUP)
    assert (page.status_code, "You need an invitation" in page.text) == (403, True)
    assert sign_up(Client(), "dave").status_code == 403
    fields = {"username": "dave", "email": address_of("dave"), "password": PASSWORD}
    assert (refused := call("users/", fields)).code == "signup_closed"
    assert "You need an invitation" in refused["detail"]
    browser = Client()
    assert "You need an invitation" in browser.get(round_trip(browser, op, person).url).text
    assert not User.objects.exists()

    invite(support()[1])
    assert sign_up(Client(), "dave").status_code == 403, "only the link lets the person in"
    assert round_trip(Client(), op, person).url == "/"
    assert exists()


def test_a_closed_sign_up_closes_invitations_too(settings):
    _carol, browser = support()
    invite(browser)
    link = invited_link()
    set_up(settings, signup="closed")

    assert accept(link).status_code == 404
    assert invite(browser, "erin").status_code == 403


def test_rights_are_given_for_a_reason_which_stands_in_every_history_that_they_concern():
    superuser("erin")
    browser, group = superuser()[1], Group.objects.get(name="Support")
    for rights in ({"is_staff": "on"}, {"groups": [group.pk]}):
        assert "Enter a reason." in invite(browser, reason="", **rights).text
    refused = invite_by_call(token_of("Manager", "manager"), groups=["Support"])
    assert (refused.status, refused.fields) == (400, ["reason"])
    assert not Invitation.objects.exists()

    invite(browser, groups=[group.pk])
    accept(invited_link())

    rows = Activity.objects.filter(reason=REASON).values_list("user__username", "kind")
    expected = {("carol", "invited"), ("dave", "rights_changed")}
    assert {*rows} == expected | {(name, "staff_changed") for name in ("carol", "erin")}


INVITATIONS = "admin/invitations/"


def invite_by_call(token, name="dave", **fields):
    return call(INVITATIONS, {"email": address_of(name)} | fields, token=token)


def revoke_by_call(token, id):
    return call(f"{INVITATIONS}{id}/", method="DELETE", token=token)


def test_a_manager_invites_lists_and_revokes_over_the_api():
    token = token_of("Manager")

    answer = invite_by_call(token, days=3, groups=["Support"], reason=REASON)

    row = Invitation.objects.get()
    assert (answer.status, answer["id"], answer["groups"]) == (201, str(row.pk), ["Support"])
    assert (row.expires_at - row.created_at).days == 3
    assert call(INVITATIONS, token=token)["results"] == [answer.body]
    assert [revoke_by_call(token, row.pk).status for _ in range(2)] == [204, 404]
    assert call(INVITATIONS, token=token)["count"] == 0


def test_rights_and_groups_beyond_the_inviters_own_are_refused():
    token = token_of("Manager")

    assert (answer := invite_by_call(token, is_staff=True, reason=REASON)).status == 403
    assert answer.code == "not_in_role"
    for groups in (["Nobody"], "Support", [7], [["Support"]]):
        refused = invite_by_call(token, groups=groups)
        assert (refused.status, refused.fields) == (400, ["groups"]), groups
    for days in (0, 31, "x"):
        assert invite_by_call(token, days=days).status == 400
    assert not Invitation.objects.exists()


def test_roles_that_may_not_invite_and_tokens_that_may_only_read_are_refused():
    token = token_of("Support", "helper")
    invite_by_call(token_of("Manager"))
    id = Invitation.objects.get().pk

    answers = [call(INVITATIONS, token=token), invite_by_call(token, "erin")]
    for answer in (*answers, revoke_by_call(token, id)):
        assert (answer.status, answer.code) == (403, "not_in_role")
    reads = staff_token("carol", scope="admin:read")
    assert call(INVITATIONS, token=reads).status == 200
    for answer in (invite_by_call(reads, "erin"), revoke_by_call(reads, id)):
        assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert Invitation.objects.get().pk == id

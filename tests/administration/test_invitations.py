"""Invitations: staff send them, and the invited person creates an account."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.invitations.models import Invitation
from accounts.users.models import User
from tests.support.api import call
from tests.support.invitations import (
    LIST,
    accept,
    exists,
    invite,
    invited_link,
    superuser,
    support,
)
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

pytestmark = pytest.mark.django_db


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

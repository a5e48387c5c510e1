"""Attacks on sign-up, and by invitations."""

import re
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.signup import services
from accounts.signup.services import SignupEnded
from accounts.throttle.limits import LOGIN_SUBSCRIBER, MAIL_SUBSCRIBER, STAFF_INVITE
from accounts.throttle.models import StoredBudget
from accounts.throttle.services import hit
from accounts.users.models import PendingSignup, User, Username
from tests.support.api import call
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
from tests.support.openid_provider import Person
from tests.support.signin import set_up, signed_in
from tests.support.social import configured, round_trip
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    PASSWORD,
    SIGNUP,
    WRONG,
    WRONG_CODE,
    address_of,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
    without_nonces,
)


def signed_up(username, address=None, password=PASSWORD):
    """Sign up; return the browser and the mail that was sent."""
    browser = Client()
    answer = sign_up(browser, username, address, password)
    assert answer.status_code == 302, answer.content.decode()
    return browser, outbox()[-1]


def confirm(browser, code):
    return browser.post(CONFIRM, {"code": code})


def visible(answer):
    """Return what a page shows, without the parts that change or that were typed in."""
    text = re.sub(
        r'value="[^"]*"|<time.*</time>|<code.*</code>', "", without_nonces(answer.content.decode())
    )
    return answer.status_code, answer.headers.get("Location", ""), re.sub("free|taken", "", text)


@proves("V6.2.5", "V6.2.8", "V6.2.9", "63B-3.1.1.2-a", "63B-3.1.1.2-i")
def test_a_unicode_username_and_a_password_of_full_length_are_accepted_whole():
    name, password = "\xdcn\xef-c\xf6d\xe9._", f"  {510 * 'z\xfc'}  "
    browser, mail = signed_up(name, "alice@example.org", password)
    assert confirm(browser, mail.code)["Location"] == "/"

    assert len(password) == 1024
    assert sign_in(Client(), name, password).url == "/"
    assert sign_in(Client(), name, password[:-1]).status_code == 200
    assert User.objects.get().username == name


def test_a_closed_sign_up_creates_nothing_on_the_page_and_over_the_api(settings):
    set_up(settings, signup="closed")
    person = {"username": "alice", "email": address_of("alice"), "password": PASSWORD}

    assert SIGNUP not in Client().get(LOGIN).text
    assert "Sign-up is closed" in Client().get(SIGNUP).text
    assert sign_up(Client(), "alice").status_code == call("users/", person).status == 403
    assert not PendingSignup.objects.exists()
    assert outbox() == []


def test_a_taken_and_a_free_email_look_the_same_at_sign_up_and_later(clock):
    """Withstands a spy."""
    make_user("taken")
    stories = []
    for case in ("free", "taken"):
        browser, other = Client(), Client()
        story = [
            visible(sign_up(browser, f"{case}bob", f"{case}@example.org")),
            visible(browser.get(CONFIRM)),
            visible(confirm(browser, WRONG_CODE)),
            visible(browser.post(CONFIRM, {"resend": "1"})),
        ]
        clock.advance(minutes=2)
        story += [
            visible(browser.post(CONFIRM, {"resend": "1"})),
            visible(browser.get(CONFIRM)),
            visible(sign_in(other, f"{case}bob", WRONG)),
            visible(sign_in(other, f"{case}bob", PASSWORD)),
            visible(other.get(CONFIRM)),
            visible(sign_in(Client(), f"{case}@example.org", WRONG)),
            visible(sign_up(Client(), f"{case}bob", "elsewhere@example.org")),
            visible(sign_up(Client(REMOTE_ADDR="192.0.2.9"), f"{case}bob", f"{case}@example.org")),
            visible(sign_up(Client(REMOTE_ADDR="192.0.2.9"), f"{case}bob2", f"{case}@example.org")),
        ]
        stories.append(story)

    for free, taken in zip(*stories, strict=True):
        assert free == taken


def test_the_owner_of_a_taken_email_gets_one_mail_that_confirms_nothing():
    make_user("alice")

    signed_up("mallory", "ALICE@Example.org")

    [mail] = outbox()
    assert mail.to == "alice@example.org"
    assert mail.code == ""
    assert CONFIRM not in mail.to_json()
    assert "mallory" not in mail.to_json()


@pytest.mark.parametrize("pruned", [False, True])
def test_usernames_of_pending_sign_ups_are_released_after_three_days_and_by_prune(clock, pruned):
    signed_up("alice", "mallory@example.org")
    clock.advance(days=3, seconds=-1)
    assert sign_up(Client(), "Alice", "alice@example.org").status_code == 200
    clock.advance(seconds=1)
    if pruned:
        call_command("prune", stdout=StringIO())
        assert not PendingSignup.objects.exists()
        assert not Username.objects.exists()

    assert sign_up(Client(), "Alice", "alice@example.org").status_code == 302
    assert PendingSignup.objects.get().username == "Alice"


def test_only_the_same_browser_can_replace_its_pending_sign_up():
    alice, _mail = signed_up("alice")
    bob, _mail = signed_up("bob")

    assert sign_up(bob, "alice", "bob@example.org").status_code == 200
    assert sign_up(alice, "ALICE", "right@example.org").status_code == 302
    assert confirm(alice, outbox()[-1].code)["Location"] == "/"
    assert User.objects.get().email == "right@example.org"
    assert "bob@" in bob.get(CONFIRM).text
    sign_in(bob, "alice")
    assert "bob@" not in bob.get(CONFIRM).text, "somebody else uses the browser now"


def test_sign_ups_with_a_taken_username_do_not_use_up_the_mail_budget():
    """Withstands a flood."""
    make_user("taken")
    for _ in range(MAIL_SUBSCRIBER.burst + 1):
        assert "username is taken" in sign_up(Client(), "taken", "alice@example.org").text
    assert outbox() == []

    assert sign_up(Client(), "alice").status_code == 302


def test_squatter_the_owners_click_confirms_no_account_without_its_password():
    """Withstands an impostor."""
    mallory, mail = signed_up("mallory", "alice@example.org")
    phone, link = Client(), path_of(mail.action_url)

    for opens in (phone.get, mallory.get, mallory.head):
        assert opens(link).status_code == 200, "mail scanners open links"
    assert "mallory" in phone.get(link).text
    for fields in ({}, {"password": ""}, {"password": WRONG}):
        assert phone.post(link, fields).status_code == 200
    assert sign_in(Client(), "alice@example.org").status_code == 200, (
        "the email does not find a pending sign-up"
    )

    assert not User.objects.exists()
    assert not is_signed_in(phone)
    assert not is_signed_in(mallory)
    assert phone.post(link, {"password": PASSWORD}).status_code == 302
    assert is_signed_in(phone), "with the password, the link confirms in any browser"


def test_the_confirmation_link_does_not_bypass_the_limit_on_guesses(clock):
    _browser, mail = signed_up("alice")
    link = path_of(mail.action_url)

    statuses = [
        Client(REMOTE_ADDR=f"192.0.2.{i}").post(link, {"password": WRONG}).status_code
        for i in range(LOGIN_SUBSCRIBER.burst + 1)
    ]

    assert statuses == [200] * LOGIN_SUBSCRIBER.burst + [429]


def test_the_first_to_confirm_an_email_wins_and_other_sign_ups_end():
    """The owner's browser cannot open the squatter's link, either."""
    mallory, mail = signed_up("mallory", "alice@example.org", WRONG)
    alice, own = signed_up("alice", "ALICE@example.org")

    assert alice.post(path_of(mail.action_url)).status_code == 200
    assert not User.objects.exists()
    assert confirm(alice, own.code)["Location"] == "/"

    confirm(mallory, mail.code)
    assert mallory.post(path_of(mail.action_url)).status_code == 404
    assert User.objects.get().username == "alice"
    assert signed_up("mallory", "mallory@example.org")
    other = Client()
    assert other.post(path_of(own.action_url), {"password": PASSWORD}).status_code == 404
    assert confirm(other, own.code).status_code == 200
    assert not is_signed_in(other), "a used code does not work again"


@proves("V6.4.1", "V6.5.4")
def test_a_confirmation_code_works_only_for_its_sign_up_and_for_ten_minutes(clock):
    """Withstands an impostor.

    A code allows five wrong tries and is valid for ten minutes, the link for three days.
    """
    (guessing, mail), (other, own) = signed_up("alice"), signed_up("mallory")

    assert confirm(other, mail.code).status_code == 200
    for _ in range(5):
        confirm(guessing, WRONG_CODE)
    assert confirm(guessing, mail.code).status_code == 200
    clock.advance(minutes=10)
    assert confirm(other, own.code).status_code == 200
    assert other.get(path_of(own.action_url)).status_code == 200
    clock.advance(days=3)
    assert other.post(path_of(own.action_url)).status_code == 404
    assert not User.objects.exists()


def test_a_newer_mail_or_a_corrected_email_invalidates_older_codes_and_links(clock):
    browser, first = signed_up("alice")
    too_soon = browser.post(CONFIRM, {"resend": "1"})
    assert (too_soon.status_code, too_soon["Retry-After"]) == (429, "60")
    clock.advance(seconds=60)
    browser.post(CONFIRM, {"resend": "1"})
    second = outbox()[-1]
    clock.advance(minutes=2)
    browser.post(CONFIRM, {"correct": "1", "email": "right@example.org"})
    third = outbox()[-1]

    for old in (first, second):
        assert confirm(browser, old.code).status_code == 200
        assert browser.post(path_of(old.action_url)).status_code == 404
    assert third.to == "right@example.org"
    assert confirm(browser, third.code)["Location"] == "/"
    assert User.objects.get().email == "right@example.org"


def test_no_mail_is_sent_to_an_email_that_was_corrected_meanwhile(clock):
    """A mail to the former email would let mallory confirm the email that she typed in instead."""
    signed_up("mallory")
    stale, signup = PendingSignup.objects.get(), PendingSignup.objects.get()
    services.correct_email(signup, "alice@example.org", client=ClientInfo("192.0.2.1", ""))
    clock.advance(minutes=2)

    with pytest.raises(SignupEnded):
        services.send_again(stale, client=ClientInfo("192.0.2.1", ""))

    assert outbox()[-1].to == "alice@example.org"


def test_a_code_confirms_only_the_email_that_it_was_mailed_to():
    """Withstands an impostor."""
    browser, mail = signed_up("mallory")
    PendingSignup.objects.update(email="alice@example.org", email_key="alice@example.org")

    assert confirm(browser, mail.code).status_code == 200
    assert User.objects.count() == 0


def tries(code, address):
    """Try ``code`` over the API from the IP address ``address``; return the status."""
    fields = {"email": "alice@example.org", "code": code}
    return call("email/verify/", fields, client=Client(REMOTE_ADDR=address)).status


def test_strangers_have_two_tries_at_a_code_and_its_owner_has_the_others():
    """Otherwise many networks have many tries, or use up all tries before the owner has one."""
    browser, mail = signed_up("alice")
    strangers = [f"10.0.{n}.1" for n in range(6)]

    assert [tries(WRONG_CODE, ip) for ip in strangers] == [400] * 6
    assert tries(mail.code, "10.0.9.1") == 400, "not even the right code is a third try"

    assert [confirm(browser, WRONG_CODE).status_code for _ in range(2)] == [200] * 2
    assert confirm(browser, mail.code)["Location"] == "/"


def editors():
    """Create a group that may change groups."""
    group = Group.objects.create(name="Editors")
    group.permissions.add(Permission.objects.get(codename="change_group"))
    return group


def rights_of(name="dave"):
    user = User.objects.get(username=name)
    return user.group_names, user.is_staff


def test_staff_without_the_right_to_invite_can_neither_see_nor_send_nor_revoke_invitations():
    invite(superuser("owner")[1])
    form = f"{LIST}{Invitation.objects.get().pk}/"
    _carol, browser = staff_with("view_user", "change_user")

    for path in (LIST, INVITE, f"{form}delete/", f"{form}again/"):
        assert browser.get(path).status_code == 403, path
        assert browser.post(path, {"email": address_of("eve"), "days": "7"}).status_code == 403

    assert Invitation.objects.get().email == address_of("dave")


def test_support_cannot_give_rights_by_invitation():
    """Withstands a member of staff."""
    carol, browser = support()
    group = editors()

    invite(browser, groups=[group.pk], is_staff="on", is_superuser="on")

    accept(invited_link())
    assert rights_of() == ([], False)
    for rights in ({"groups": [group]}, {"is_staff": True}):
        with pytest.raises(invitations.MoreThanOwnRights):
            invitations.invite(carol, address_of("eve"), days=1, actor=Actor(), **rights)


def test_rights_that_the_inviter_has_lost_meanwhile_are_not_given():
    carol, browser = superuser()
    invite(browser, groups=[editors().pk], is_staff="on")
    link = invited_link()
    carol.user_permissions.set(Permission.objects.filter(codename="add_invitation"))
    User.objects.update(is_superuser=False)

    accept(link)

    assert rights_of() == ([], False)


@pytest.mark.parametrize("lost", ["is_active", "is_staff", "the right"])
def test_an_invitation_is_void_if_its_inviter_may_not_invite_any_more(lost):
    """Withstands a member of staff."""
    carol, browser = support()
    invite(browser)
    link = invited_link()
    if lost == "the right":
        carol.user_permissions.clear()
    else:
        User.objects.update(**{lost: False})

    assert accept(link).status_code == 404
    assert not exists()


def test_locking_a_staff_account_revokes_the_invitations_that_a_thief_has_sent_from_it():
    """Withstands a thief in the account."""
    carol, thief = superuser()
    invite(thief, "mallory", is_staff="on")
    link = invited_link()

    signed_in(carol).post("/accounts/lockdown/")

    User.objects.filter(pk=carol.pk).update(password=PASSWORD)
    assert accept(link, "mallory").status_code == 404
    assert not exists("mallory")


def test_inviting_reveals_neither_by_its_answer_nor_by_its_work_whether_an_account_exists():
    """Withstands a member of staff."""
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


def test_an_address_that_got_an_account_meanwhile_makes_the_link_invalid():
    invite(support()[1])
    link = invited_link()
    alice = make_user("alice")
    alice.emails.create(email=address_of("dave"), key=address_of("dave"))

    assert accept(link).status_code == 404
    assert not exists()


def test_an_unverified_address_of_a_provider_accepts_no_invitation(settings, op):
    """Withstands a malicious server."""
    configured(settings, op.setting(), signup="invite")
    invite(support()[1])
    mallory = Person("m", address_of("dave"), email_verified=False, username="mallory")

    assert round_trip(Client(), op, mallory).url != "/"

    assert User.objects.count() == 1
    assert Invitation.objects.exists()


def test_support_can_neither_revoke_nor_resend_an_invitation_that_gives_rights(clock):
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


def test_an_invitation_that_was_revoked_meanwhile_is_not_sent_again():
    carol, browser = support()
    invite(browser)
    seen = Invitation.objects.get()
    invitations.revoke(Invitation.objects.get(), carol, Actor())
    StoredBudget.objects.all().delete()

    with pytest.raises(invitations.InvitationEnded):
        invitations.send_again(seen, carol, Actor())

    assert not Invitation.objects.exists()


def test_a_member_of_staff_sends_a_limited_number_of_invitations(clock):
    carol, browser = support()
    invite(browser)
    assert invite(browser).status_code == 429, "once a minute to an address"
    for _ in range(STAFF_INVITE.burst - 2):
        hit(STAFF_INVITE.of(carol.pk))

    answers = [invite(browser, f"dave{n}").status_code for n in range(2)]

    assert answers == [302, 429]

"""Attacks on the acts of staff."""

from contextlib import suppress

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.core.management import call_command
from django.test import Client

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.administration import acts
from accounts.administration.acts import ACTS
from accounts.administration.person import OF_KEYS
from accounts.administration.roles import JustSent, NotAllowedOnStaff, NotInRole
from accounts.apikeys.models import APIKey
from accounts.mail.services import deliver_due
from accounts.profile.services import rename
from accounts.throttle.limits import STAFF_CLEAR, STAFF_READ
from accounts.throttle.services import hit
from accounts.twofactor import services as twofactor
from accounts.twofactor.adding import new_link
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.models import PendingSignup, User
from accounts.users.services import UsernameTaken
from tests.support.administration import (
    ADDRESSES,
    REASON,
    act,
    alice_with_addresses,
    carols_key,
    desk,
    member,
    page_of,
    rows,
    staff_calls,
    staff_token,
)
from tests.support.api import call, get_tokens
from tests.support.api_keys import FORM, NEW, key_of, row_of
from tests.support.invitations import invite, staff_with, superuser
from tests.support.passkeys import REAUTHENTICATE, add_passkey, signs_in
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    code_of,
    recovery_codes_on,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import set_up, signed_in
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import (
    address_of,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_in_twice,
    sign_up,
)
from tests.support.urls import ROUTES, address
from tests.support.webauthn import Passkey

RIGHTS = {"is_staff": "on", "is_superuser": "on", "reason": REASON}
ROUTES_TO_READ = "admin/accounts/user/<uuid:id>/change/details/"


def test_staff_cannot_act_on_staff_with_more_rights_nor_on_themselves():
    """Withstands a member of staff.

    Every role, act and kind of account is in tests/administration/test_roles.py.
    """
    carol, owner = member("carol", "Manager"), member("owner", "Superuser")
    browser, before = signed_in(carol), rows()

    for target in (carol, owner):
        assert browser.post(page_of(target), RIGHTS).status_code == 403
        for name in ACTS:
            assert act(browser, target, name).status_code == 403, (target, name)
            assert browser.get(f"{page_of(target)}{name}/").status_code == 403

    assert rows() == before


@proves("V8.2.1")
@pytest.mark.parametrize("role", ["Auditor", "nothing"])
def test_staff_who_only_read_can_post_nothing_anywhere_in_the_admin(role):
    """Withstands a member of staff."""
    Group.objects.create(name="nothing")
    alice, browser = make_user("alice"), desk(role)
    before = rows()
    known = {address(route) for route in ROUTES if route.startswith("admin/")}
    acting = {f"{page_of(alice)}{name}/" for name in ACTS}

    # Auditors may give a reason to read: tests/attacks/test_admin.py.
    reading = {address(ROUTES_TO_READ), "/admin/login/", "/admin/logout/"}
    for path in (known | acting | {page_of(alice)}) - reading:
        answer = browser.post(path, {**RIGHTS, "reason": REASON, "mode": "now", "name": "x"})
        assert answer.status_code == 403, path

    assert rows() == before
    assert not alice.activity.filter(actor="carol").exists()


def test_managers_give_no_groups_with_more_rights_than_their_own():
    """Withstands a member of staff."""
    right = Permission.objects.get(codename="add_group")
    strong = Group.objects.create(name="Strong")
    strong.permissions.add(right)
    shop = Group.objects.create(name="Shop admins")  # no rights here, but perhaps elsewhere
    support = Group.objects.get(name="Support")
    browser, alice = desk("Manager"), make_user("alice")
    shop.user_set.add(alice)

    for group in (strong, shop):
        page = browser.post(
            page_of(alice), {"is_staff": "on", "groups": group.pk, "reason": REASON}
        )
        assert "Select a valid choice" in page.text
    browser.post(page_of(alice), {**RIGHTS, "groups": support.pk, "user_permissions": right.pk})

    alice = User.objects.get(pk=alice.pk)
    assert set(alice.groups.all()) == {support, shop}, "what managers cannot give stays"
    assert (alice.is_staff, alice.is_superuser) == (True, False)
    assert not alice.user_permissions.exists()


def _shown(browser, new):
    assert browser.post(REAUTHENTICATE, {"code": unused_code(new.user)}).status_code == 302


def _removed(browser, new):
    _shown(browser, new)
    assert browser.post(f"/accounts/2fa/totp/{new.pk}/", {"remove": "1"}).status_code == 302
    assert not Authenticator.objects.filter(pk=new.pk).exists()


def _recovery_code(browser, _new):
    browser.post(RECOVERY_CODES, {"new": "1"})
    code = recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]
    assert browser.post(REAUTHENTICATE, {"code": code}).status_code == 302


@pytest.mark.parametrize("use", [_shown, _removed, _recovery_code])
def test_a_factor_that_was_added_in_the_session_does_not_count_for_acts(use):
    """Withstands a thief in the account.

    A thief who takes over a session of staff has ten minutes to add one.
    """
    alice, browser = make_user("alice"), desk("Support")
    carol = User.objects.get(username="carol")
    old = carol.authenticator_set.get()
    set_up_authenticator(browser)
    use(browser, carol.authenticator_set.latest("pk"))

    page = act(browser, alice, "deactivate")

    assert (page.status_code, "Use another one" in page.text) == (403, True)
    assert User.objects.get(pk=alice.pk).is_active
    assert browser.post(REAUTHENTICATE, {"code": code_of(old.seed, 1)}).status_code == 302
    assert act(browser, alice, "deactivate").status_code == 302


def test_a_factor_that_a_thief_adds_and_signs_in_with_does_not_count_for_acts_for_seven_days(clock):
    """Withstands a thief in the account."""
    alice, browser = make_user("alice"), desk("Support")
    carol = User.objects.get(username="carol")
    old = carol.authenticator_set.get()
    clock.advance(minutes=4)
    set_up_authenticator(browser)
    clock.advance(minutes=1)
    thief = Client()

    sign_in_twice(thief, carol)

    assert act(thief, alice, "deactivate").status_code == 403
    assert {answer.short for answer in staff_calls(staff_token("carol"), alice)} == {TOO_WEAK}
    assert User.objects.get(pk=alice.pk).is_active
    clock.advance(minutes=1)
    browser.post(REAUTHENTICATE, {"code": code_of(old.seed)})
    clock.advance(minutes=11)
    browser.post(REAUTHENTICATE, {"code": unused_code(carol)})
    assert act(browser, alice, "deactivate").status_code == 302, "once an older one was shown"
    clock.advance(days=7)
    sign_in_twice(thief, carol)
    assert act(thief, alice, "reactivate").status_code == 302


def test_after_a_reset_by_an_operator_the_first_factor_and_its_codes_count(clock):
    alice, _old = make_user("alice"), desk("Support")
    carol, browser, other = User.objects.get(username="carol"), Client(), Client()
    clock.advance(days=1)
    twofactor.reset(carol, Actor(name="@operator"))
    clock.advance(minutes=1)

    browser.post(path_of(new_link(carol)))
    set_up_authenticator(browser)
    code = recovery_codes_on(browser.get(RECOVERY_CODES).text)[0]
    clock.advance(minutes=1)
    sign_in(other, "carol")
    other.post(CHALLENGE, {"code": code})

    assert act(browser, alice, "deactivate").status_code == 302
    assert act(other, alice, "reactivate").status_code == 302


def test_staff_who_must_have_a_passkey_show_their_older_app_beside_a_new_one(clock, settings):
    alice, browser = make_user("alice"), desk("Support")
    carol, passkey, other = User.objects.get(username="carol"), Passkey(), Client()
    set_up(settings, staff_factor="passkey")
    clock.advance(minutes=1)
    add_passkey(browser, passkey)
    clock.advance(minutes=1)
    assert signs_in(passkey, other)

    assert act(other, alice, "deactivate").status_code == 403
    assert other.post(REAUTHENTICATE, {"code": unused_code(carol)}).status_code == 302
    assert act(other, alice, "deactivate").status_code == 302
    clock.advance(minutes=1)
    refused = other.post(REAUTHENTICATE, {"code": unused_code(carol)})
    assert refused.status_code == 200, "a code is accepted only while the passkey does not count"


@proves("V8.3.2")
def test_an_act_uses_the_rights_that_both_have_now_not_those_of_a_minute_ago():
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


@proves("V1.3.3")
def test_a_reason_cannot_carry_markup_into_pages_or_emails():
    alice, browser = make_user("alice"), desk("Support")

    act(browser, alice, "send-reset", reason='<img src=x onerror="alert(1)">')

    for page in (signed_in(alice).get("/accounts/activity/"), browser.get(page_of(alice))):
        assert "<img src=x" not in page.text
    deliver_due()
    told = [text for sent in mail.outbox if "Note from support" in (text := str(sent.message()))]
    assert told
    for text in told:
        assert "<img src=3Dx" not in text.partition("text/html")[2]
        assert "&lt;img" in text


def test_staff_cannot_leave_what_they_did_to_the_next_person_with_their_name(clock):
    """Withstands a member of staff."""
    alice, carol = make_user("alice"), member("carol", "Support")
    record(alice, events.SWITCHED_ON, Actor(name="carol"))  # by version 1.0
    acts.perform("lock", carol, Actor(), alice, reason=REASON)

    rename(carol, "carla", Actor())
    clock.advance(days=40)
    call_command("prune", verbosity=0)

    with pytest.raises(UsernameTaken):
        users.take_username("carol", until=None)
    page = desk("Superuser", "erin").get(page_of(alice)).text
    assert "By carla, formerly carol" in page
    assert "By someone who was called carol at the time" in page


@pytest.mark.parametrize(
    "bait",
    [
        *("https://evil.example/x", "evil.example", "evil。example", "HTTPS://localhost/x"),
        *("help@evil.example", "+49 (30) 901820", "0800-123-4567"),
    ],
)
def test_no_mail_program_makes_a_link_of_what_staff_write(bait):
    """Withstands a member of staff."""
    alice, browser = make_user("alice"), desk("Support")

    signed_in(alice)

    act(browser, alice, "end-sessions", reason=f"Ask {bait} at once.")

    facts = dict(map(tuple, outbox()[-1].facts))
    assert bait not in facts["Note from support"]
    assert facts["Note from support"].replace("\u2060", "") == f"“Ask {bait} at once.”"
    assert "Never share a password" in facts["Be careful"]


def test_what_staff_write_cannot_pass_for_the_text_of_the_site():
    """Withstands a member of staff."""
    alice, browser = make_user("alice"), desk("Support")
    signed_in(alice)

    act(browser, alice, "end-sessions", reason='Done.”\n\nDevice: "yours", case 4812')

    facts = dict(map(tuple, outbox()[-1].facts))
    assert facts["Note from support"] == "“Done.’ Device: ’yours’, case 4812”"
    assert "Be careful" not in facts


def test_every_superuser_is_mailed_when_staff_get_rights_and_when_they_are_switched_off():
    """Withstands a member of staff."""
    owner, other = member("owner", "Superuser"), member("other", "Superuser")
    alice, browser = make_user("alice"), signed_in(owner)
    member("helper", "Support")

    browser.post(page_of(alice), {"is_staff": "on", "reason": REASON})
    act(browser, alice, "deactivate")

    told = {mail.to for mail in outbox() if mail.subject == events.STAFF_CHANGED.subject}
    assert told == {owner.email, other.email}
    for root in (owner, other):
        rows = root.activity.filter(kind="staff_changed")
        assert [*rows.values_list("detail", "actor", "reason")] == [("alice", "owner", REASON)] * 2


def test_two_members_of_staff_send_one_link():
    alice = make_user("alice")
    acts.perform("send-reset", member("carol", "Support"), Actor(), alice, reason=REASON)

    with pytest.raises(JustSent):
        acts.perform("send-reset", member("dave", "Support"), Actor(), alice, reason=REASON)

    assert alice.activity.get(kind="reset_sent").detail == alice.email


@pytest.mark.parametrize("meanwhile", ["is_staff", "groups"])
def test_rights_that_somebody_else_has_changed_meanwhile_are_not_overwritten(meanwhile):
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


@pytest.mark.django_db(transaction=True)
def test_two_superusers_cannot_switch_each_other_off_at_once():
    """Withstands a race."""
    both = member("carol", "Superuser"), member("dave", "Superuser")
    # Each request has read both accounts before the other one changes them.
    read = [[User.objects.get(pk=user.pk) for user in order] for order in (both, both[::-1])]

    def deactivate(number):
        staff, user = read[number]
        with suppress(NotInRole):
            acts.perform("deactivate", staff, Actor(), user, reason=REASON)

    together(2, deactivate)

    assert User.objects.filter(is_active=True).count() == 1


@pytest.fixture
def alice():
    return alice_with_addresses()


def pages(browser, alice):
    """Return the page about alice, and the results of searches for her hidden addresses."""
    found = [browser.get("/admin/accounts/user/", {"q": email}).text for email in ADDRESSES[1:]]
    return [browser.get(f"/admin/accounts/user/{alice.pk}/change/").text, *found]


def test_only_staff_who_may_help_see_and_search_hidden_addresses(alice):
    """Withstands a member of staff."""
    page, *results = pages(staff_with("view_user")[1], alice)

    assert "a…@example.org" in page
    assert alice.email not in page
    assert "2 more addresses that you may not see" in page
    assert "s…@work.example" in page, "the history says that an address was added"
    assert not any(email in page for email in ADDRESSES[1:])
    assert not any(str(alice.pk) in result for result in results)

    page, *results = pages(staff_with("help_user", name="dave")[1], alice)
    assert all(email in page for email in ADDRESSES[1:])
    assert all(alice.email in result for result in results)


def test_names_of_people_cannot_forge_the_explanation():
    """Withstands another member."""
    forged = "Nothing stops alice. <b>Send the code to me</b>"
    alice = make_user("alice", display_name=forged, is_active=False)

    page, *_results = pages(staff_with("view_user")[1], alice)

    assert "alice can’t sign in because the account is deactivated." in page
    assert "<b>" not in page


@pytest.mark.parametrize("method", ["get", "head"])
def test_staff_leave_a_trace_when_they_open_a_page_about_a_person(method):
    """Withstands a member of staff."""
    alice = make_user("alice")
    browser = staff_with("view_user")[1]

    browser.generic(method.upper(), f"/admin/accounts/user/{alice.pk}/change/")

    assert "A member of staff opened the page" in signed_in(alice).get("/accounts/activity/").text


def test_support_cannot_confirm_a_sign_up_of_their_own_at_an_invited_address():
    """Withstands a member of staff."""
    manager = Group.objects.get(name="Manager")
    invite(superuser("owner")[1], "dave", is_staff="on", groups=[manager.pk])
    sign_up(Client(), "mallory", address_of("dave"))

    act(desk("Support"), PendingSignup.objects.get(), "confirm-address")

    mallory = User.objects.get(username="mallory")
    assert (mallory.is_staff, mallory.group_names) == (False, [])


@proves("V6.4.6")
def test_support_cannot_reset_the_limits_of_an_account_for_endless_guesses():
    """Withstands a member of staff."""
    alice, browser = make_user("alice"), desk("Support")

    def guess_and_reset():
        sign_in(Client(), "alice", "wrong password")
        return int(act(browser, alice, "clear-limits").status_code)

    answers = [guess_and_reset() for _ in range(STAFF_CLEAR.burst + 1)]

    assert answers == [302] * STAFF_CLEAR.burst + [429]


@pytest.mark.parametrize("name", ["send-reset", "end-sessions"])
def test_the_form_of_an_act_shows_nothing_about_a_person_without_a_trace(name):
    alice = make_user("alice")

    desk("Support").get(f"{page_of(alice)}{name}/")

    assert alice.activity.filter(kind="page_opened", actor="carol").exists()


def test_people_do_not_learn_which_member_of_staff_acted():
    """Withstands another member."""
    alice = make_user("alice")
    by_key = Actor(proof="pop", key="carol's script")

    acts.perform("send-reset", member("carol", "Support"), by_key, alice, reason=REASON)

    page = signed_in(alice).get("/accounts/activity/").text
    answer = str(call("activity/", token=get_tokens()["access"]).body)
    for text in (page, answer):
        assert REASON in text
        assert "carol" not in text
    assert "@staff" in answer


TOO_WEAK = (401, "insufficient_user_authentication")


def may_use_staff_api(key):
    """Return whether a call of the staff API with ``key`` succeeds."""
    return call("admin/users/", token=key).status == 200


def test_an_allowed_key_reads_at_most_20_000_people_an_hour(clock):
    key, carol = carols_key(wanted="read"), User.objects.get(username="carol")
    one = STAFF_READ.times(OF_KEYS).of("key", carol.pk)
    assert 19_000 < (one.depth + 3_600_000) / one.cost <= 20_000
    hit(one._replace(cost=one.depth - 3 * one.cost))

    # Both calls show carol and owner.
    assert [call("admin/users/", token=key).status for _ in range(2)] == [200, 429]


def test_an_allowed_key_has_the_role_of_its_owner_and_no_more(clock):
    """Withstands a thief with a token."""
    key, alice = carols_key(), make_user("alice")
    clock.advance(days=5)

    assert [answer.status for answer in staff_calls(key, alice)] == [200, 200, 200]
    assert staff_calls(key, User.objects.get(username="owner"))[-1].short[0] == 403
    assert call("admin/invitations/", token=key).code == "not_in_role"
    acted = alice.activity.get(kind="switched_off")
    assert (acted.actor, acted.key) == ("carol", row_of(key).label)
    assert call(f"users/{alice.pk}/", token=key).status == 404


def test_a_key_that_may_only_read_cannot_act():
    key, alice = carols_key(wanted="read"), make_user("alice")

    *read, acted = staff_calls(key, alice)

    assert [answer.status for answer in read] == [200, 200]
    assert acted.short == (403, "insufficient_scope")


def test_no_other_key_of_the_same_owner_may_use_the_staff_api():
    carols_key()
    other = key_of(User.objects.get(username="carol"), "admin:read admin:write read write")

    assert {answer.short for answer in staff_calls(other, make_user("alice"))} == {TOO_WEAK}


def test_superusers_allow_neither_their_own_keys_nor_those_of_users_nor_any_over_the_api():
    """Withstands a member of staff."""
    carol = member("carol", "Superuser")
    own, browser = key_of(carol), signed_in(carol)
    alice = make_user("alice")
    alices = key_of(alice)

    assert act(browser, carol, "allow-key", target=f"{row_of(own).pk} act").status_code == 403
    act(browser, alice, "allow-key", target=f"{row_of(alices).pk} act")
    bobs = key_of(member("bob", "Support"))
    body = {"reason": REASON, "target": f"{row_of(bobs).pk} act"}
    path = f"admin/users/{User.objects.get(username='bob').pk}/allow-key/"
    assert call(path, body, token=staff_token("carol")).status == 404
    browser.post(NEW, FORM | {"admin": "write", "scope": "admin:write"})

    assert not APIKey.objects.exclude(staff_scope="").exists()


def withdraw(carol):
    act(signed_in(User.objects.get(username="owner")), carol, "withdraw-key")


def by_owner(**fields):
    """Return an act in which another superuser changes carol's rights."""

    def change(carol):
        owner = signed_in(User.objects.get(username="owner"))
        assert owner.post(page_of(carol), fields | {"reason": REASON}).status_code == 302

    return change


ENDS = {
    "withdrawn": withdraw,
    "staff no more": by_owner(),
    "more rights": by_owner(is_staff="on", is_superuser="on"),
    "role lost in the database": lambda _carol: Group.objects.get(name="Support").delete(),
    "locked": lambda carol: signed_in(carol).post("/accounts/lockdown/"),
}


@pytest.mark.parametrize("end", ENDS)
def test_access_ends_with_the_role_the_account_and_the_key(end):
    """Withstands a thief with a token: a key of staff."""
    key = carols_key()
    assert may_use_staff_api(key)

    ENDS[end](User.objects.get(username="carol"))

    assert not may_use_staff_api(key)


def test_a_key_must_be_allowed_again_after_rights_are_given_back():
    key = carols_key()
    carol = User.objects.get(username="carol")

    by_owner()(carol)
    by_owner(is_staff="on", groups=Group.objects.get(name="Support").pk)(carol)

    assert not may_use_staff_api(key)


def test_who_allowed_a_key_and_why_is_in_both_histories_and_mailed():
    other = member("dave", "Superuser")

    key = carols_key()
    withdraw(User.objects.get(username="carol"))

    carol, owner = (User.objects.get(username=name) for name in ("carol", "owner"))
    for kind in ("key_allowed", "key_disallowed"):
        row = carol.activity.get(kind=kind)
        assert (row.actor, row.reason, row.detail) == ("owner", REASON, row_of(key).label)
    for user, kind in ((owner, "staff_acted"), (other, "staff_changed")):
        assert user.activity.filter(kind=kind, reason=REASON).count() == 2
    told = [mail for mail in outbox() if mail.to == carol.email and "staff API" in mail.subject]
    assert len(told) == 2

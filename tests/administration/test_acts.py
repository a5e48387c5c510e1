"""Acts of staff."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.administration import bulk, roles
from accounts.administration.acts import ACTS, API_ACTS
from accounts.administration.models import BulkAct, BulkPerson
from accounts.apikeys.models import APIKey
from accounts.common.client_info import NO_CLIENT
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.deletion import services as deletion
from accounts.emails import services as emails
from accounts.emails.models import PendingEmail
from accounts.invitations.models import Invitation
from accounts.oauth import connections
from accounts.oauth.clients.models import ClientSecret
from accounts.profile.models import Picture
from accounts.recovery import services as recovery
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.sessions import services as sessions
from accounts.throttle.limits import STAFF_CLEAR
from accounts.twofactor.models import Authenticator
from accounts.users import services as users
from accounts.users.models import EmailAddress, Identity, PendingSignup, User
from accounts.users.rights import ACTING, role_of
from tests.support.administration import (
    LIST,
    REASON,
    act,
    bulk_page,
    choose,
    desk,
    member,
    page_of,
    people,
    staff_of_every_role,
)
from tests.support.api_keys import key_of, row_of
from tests.support.apps import asked_for, connect_app, make_app, register
from tests.support.disputes import NEW, accept_notices, reloaded, reset_link, sets_password
from tests.support.invitations import invite
from tests.support.lockdown import switch_off
from tests.support.second_factor import enrolled
from tests.support.signin import set_up, signed_in
from tests.support.social import configured
from tests.support.steps import (
    WRONG,
    address_of,
    is_signed_in,
    make_user,
    outbox,
    path_of,
    sign_in,
    sign_up,
)

PROVIDER = {
    **{"id": "acme", "name": "Acme", "issuer": "https://acme.example"},
    **{"client_id": "authsite", "client_secret": "secret"},
}


def mails_to(user):
    return [mail for mail in outbox() if mail.to == address_of(user.username)]


def why_in(mail):
    return dict(map(tuple, mail.facts)).get("Note from support", "").strip("“”")


def reset_link_of(user):
    (mail,) = [mail for mail in mails_to(user) if mail.subject.startswith("Set a new password for")]
    return path_of(mail.action_url)


def with_new_address(user):
    emails.add(user, "new@example.net", NO_CLIENT)


def with_used_limits(user):
    for _ in range(4):
        sign_in(Client(), user.username, WRONG)


def with_app(user):
    connections.agree(asked_for(make_app()), user, Actor())


def with_second_address(user):
    users.confirm_email(user, "second@example.org")


def with_provider(user):
    Identity.objects.create(user=user, issuer=PROVIDER["issuer"], subject="7", label="alice")


def with_request(user):
    enrolled(user)
    recovery.ask(reloaded(user), Proof.now(Method.MAIL, address_of("alice")), actor=Actor())


def to_be_deleted(user):
    deletion.request(user, Actor())


def with_picture(user):
    Picture.objects.create(user=user, content=b"")


# For each act: what makes it possible, and the event of the person.
PREPARED: dict[str, tuple[Callable[[User], object], str]] = {
    "confirm-address": (with_new_address, "address_added"),
    "send-confirmation": (with_new_address, "confirmation_sent"),
    "remove-address": (with_second_address, "address_removed"),
    "send-reset": (id, "reset_sent"),
    "clear-limits": (with_used_limits, "limits_cleared"),
    "end-sessions": (signed_in, "all_ended"),
    "revoke-keys": (key_of, "key_ended"),
    "disconnect-apps": (with_app, "app_disconnected"),
    "disconnect-provider": (with_provider, "provider_disconnected"),
    "remove-picture": (with_picture, "profile_changed"),
    "remove-factors": (enrolled, "factors_reset"),
    "lift-lock": (lambda user: lock_down(user, Actor()), "lock_lifted"),
    "decide": (with_request, "support_decided"),
    "lock": (id, "locked_down"),
    "deactivate": (id, "switched_off"),
    "reactivate": (switch_off, "switched_on"),
    "delete": (id, "deletion_requested"),
    "undo-deletion": (to_be_deleted, "deletion_undone"),
}


ABOUT_ADDRESSES = {
    **dict.fromkeys(("confirm-address", "send-confirmation"), "new@example.net"),
    **{"remove-address": "second@example.org", "send-reset": address_of("alice")},
}


@pytest.mark.parametrize("name", API_ACTS)
def test_an_act_is_in_both_histories_and_the_owner_gets_the_reason_by_email(
    alice, carol, clock, name, settings
):
    set_up(settings, avatars="on")
    prepare, event = PREPARED[name]
    prepare(alice)
    clock.advance(minutes=2)
    mails = len(mails_to(alice))

    assert act(carol, alice, name).url == page_of(alice)

    row = alice.activity.latest("id")
    assert (row.kind, row.actor, row.reason) == (event, "carol", REASON)
    if name in ABOUT_ADDRESSES:
        assert row.detail == ABOUT_ADDRESSES[name]
    own = User.objects.get(username="carol").activity.latest("id")
    assert (own.kind, own.actor, own.reason) == ("staff_acted", "", REASON)
    assert own.detail.startswith("alice: ")
    reasons = [why_in(mail) for mail in mails_to(alice)[mails:]]
    assert (REASON in reasons) is (name != "clear-limits")
    if name not in {"deactivate", "delete"}:
        assert REASON in signed_in(reloaded(alice)).get("/accounts/activity/").text


@pytest.mark.parametrize(
    "name, fields, sentence",
    [
        ("send-reset", {}, "Link sent to a…@example.org."),
        ("send-reset", {"target": "second@example.org"}, "Link sent to s…@example.org."),
        ("remove-address", {}, "Removed: s…@example.org."),
        ("remove-factors", {}, "Removed: All second factors."),
        ("remove-factors", {"mode": "wait"}, "The waiting period has begun."),
        ("deactivate", {}, "The account is deactivated, and everyone is signed out."),
    ],
)
def test_the_message_says_what_happened(alice, carol, name, fields, sentence):
    with_second_address(alice)
    enrolled(alice)

    assert act(carol, alice, name, **fields).url == page_of(alice)
    assert sentence in carol.get(page_of(alice)).text


@pytest.mark.parametrize("reason", ["", "   ", "a" * 501, "a\0b", "a\u202eb"])
def test_an_act_without_a_proper_reason_shows_the_form_again_and_does_nothing(alice, carol, reason):
    answer = act(carol, alice, "deactivate", reason=reason)

    assert answer.status_code == 200
    assert "There is a problem" in answer.text
    assert reloaded(alice).is_active
    assert not alice.activity.exclude(kind="page_opened").filter(actor="carol").exists()


def test_a_confirmed_address_belongs_to_the_person(alice, carol):
    emails.add(alice, "new@example.net", NO_CLIENT)
    emails.add(alice, "other@example.net", NO_CLIENT)
    assert act(carol, alice, "confirm-address").status_code == 400, "two wait: one must be named"

    act(carol, alice, "confirm-address", target=str(PendingEmail.objects.earliest("expires_at").pk))

    assert EmailAddress.objects.get(email="new@example.net").user == alice
    assert PendingEmail.objects.get().email == "other@example.net"


def test_a_sign_up_that_support_confirms_becomes_a_user(carol):
    sign_up(Client(), "bob")
    signup = PendingSignup.objects.get()
    assert act(carol, signup, "end-sessions").status_code == 404, "a sign-up has no such act"

    assert act(carol, signup, "confirm-address").url == page_of(signup)

    bob = User.objects.get(username="bob")
    assert (bob.pk, bob.email) == (signup.pk, address_of("bob"))
    row = bob.activity.get(kind="signed_up")
    assert (row.actor, row.reason) == ("carol", REASON)
    assert is_signed_in(signed_in(bob))


def test_the_confirmation_of_a_sign_up_is_sent_even_if_strangers_used_up_the_mailbox(carol, clock):
    sign_up(Client(), "bob")
    for number in range(4):
        sign_up(Client(REMOTE_ADDR=f"198.51.{number}.7"), f"bob{number}", address_of("bob"))
    before = len(outbox())
    clock.advance(minutes=2)

    act(carol, PendingSignup.objects.get(username="bob"), "send-confirmation")

    assert [mail.to for mail in outbox()[before:]] == [address_of("bob")]


def test_a_reset_link_goes_only_to_an_address_of_the_person(alice, carol):
    refused = act(carol, alice, "send-reset", target="mallory@example.org")

    assert "There is a problem" in refused.text
    assert "mallory@example.org" not in {mail.to for mail in outbox()}
    act(carol, alice, "send-reset", target=address_of("alice"))
    assert sets_password(Client(), reset_link_of(alice))


def test_an_address_that_staff_remove_is_no_way_in_any_more(alice, carol):
    users.confirm_email(alice, "second@example.org")
    assert act(carol, alice, "remove-address", target=address_of("alice")).status_code == 200
    before = len(outbox())

    act(carol, alice, "remove-address", target="second@example.org")

    assert list(alice.emails.values_list("email", flat=True)) == [address_of("alice")]
    told = {mail.to: why_in(mail) for mail in outbox()[before:]}
    assert told == dict.fromkeys((address_of("alice"), "second@example.org"), REASON)


def test_staff_disconnect_no_provider_that_is_the_only_way_in(alice, carol, settings):
    configured(settings, PROVIDER)
    with_provider(alice)
    User.objects.update(password=make_password(None))
    assert "disconnect-provider" not in carol.get(page_of(alice)).text

    assert act(carol, reloaded(alice), "disconnect-provider").status_code == 409

    assert Identity.objects.get().user == alice


def test_factors_removed_after_waiting_stay_until_the_person_comes_back(alice, carol, clock):
    clock.advance(days=8)
    enrolled(alice)

    carol = signed_in(User.objects.get(username="carol"))
    assert act(carol, alice, "remove-factors", mode="wait").status_code == 302

    assert Authenticator.objects.filter(user=alice).exists()
    assert Recovery.objects.get().user == alice
    warning = mails_to(alice)[-1]
    assert "/accounts/2fa/recovery/" in warning.action_url
    assert why_in(warning) == REASON
    assert "IP address" not in dict(map(tuple, warning.facts))


def test_a_locked_account_opens_for_the_address_that_staff_chose_and_for_no_other(alice, carol):
    users.confirm_email(alice, "second@example.org")
    lock_down(alice, Actor())
    act(carol, alice, "lift-lock")
    link = reset_link_of(alice)

    assert not sets_password(Client(), reset_link(to="second@example.org"))
    assert sets_password(Client(), link)
    assert sign_in(Client(), "alice", NEW).url == "/"


def test_a_decision_ends_the_wait_and_lets_the_owner_remove_the_lost_factor(alice, carol):
    with_request(alice)
    recovery.ask_support(reloaded(alice), Proof.now(Method.PASSWORD), actor=Actor())
    act(carol, alice, "decide")
    assert recovery.running(reloaded(alice)) is None

    assert sets_password(Client(), reset_link_of(alice), lost="on")
    assert Recovery.objects.get().shown_to_support == []
    assert not Authenticator.objects.filter(user=alice).exists()


def test_no_wait_ends_while_support_has_the_case_and_sees_what_was_shown(alice, carol, clock):
    with_request(alice)
    accept_notices()
    password = Proof.now(Method.PASSWORD)
    recovery.ask_support(reloaded(alice), password, actor=Actor())
    assert "and showed the password." in carol.get(page_of(alice)).text
    clock.advance(hours=73)

    assert not recovery.assess(reloaded(alice), Proof.now(Method.MAIL, alice.email)).may_finish


def test_the_page_of_a_person_offers_only_acts_that_change_something(alice, carol):
    page = carol.get(page_of(alice)).text

    offered = [name for name in ACTS if f"{page_of(alice)}{name}/" in page]
    assert offered == ["send-reset", "lock", "deactivate", "delete"]


def test_an_act_that_is_not_possible_uses_up_no_limit(alice, carol):
    for answer in [act(carol, alice, "clear-limits") for _ in range(STAFF_CLEAR.burst)]:
        assert answer.status_code == 409
    with_used_limits(alice)

    assert act(carol, alice, "clear-limits").status_code == 302


def test_one_session_key_or_app_can_be_ended_alone(alice, carol):
    lost, kept = signed_in(alice), signed_in(alice)
    session = sessions.live(alice).earliest("begun_at")
    key, other = (row_of(key_of(alice)) for _ in range(2))
    app, wiki = make_app(), make_app("Wiki")
    for each in (app, wiki):
        connections.agree(asked_for(each), alice, Actor())

    for name, one in (("end-sessions", session), ("revoke-keys", key), ("disconnect-apps", app)):
        act(carol, alice, name, target=str(one.pk))

    assert [is_signed_in(lost), is_signed_in(kept)] == [False, True]
    assert APIKey.objects.get() == other
    assert list(connections.of(alice)) == [wiki]


def test_disconnecting_all_apps_signs_them_out_and_is_told_of_each(alice, carol):
    signed_in(alice)
    browser = sessions.live(alice).get()
    apps = [connect_app(browser, make_app(name), is_offline=True) for name in ("Paperless", "Wiki")]

    act(carol, alice, "disconnect-apps")

    assert list(sessions.live(alice)) == [browser]
    assert not connections.of(alice)
    told = alice.activity.filter(kind="app_disconnected", actor="carol")
    assert {row.detail for row in told} == {str(app) for app in apps}


def test_one_factor_can_be_removed_alone_and_the_last_takes_the_recovery_codes(alice, carol):
    for _ in range(2):
        enrolled(alice)
    first, second = Authenticator.objects.filter(user=alice).order_by("pk")

    act(carol, alice, "remove-factors", target=first.persistent_id)
    assert list(Authenticator.objects.filter(user=alice)) == [second]
    act(carol, alice, "remove-factors", target=second.persistent_id)
    assert not Authenticator.objects.filter(user=alice).exists()
    assert alice.activity.latest("id").kind == "factors_reset"


@pytest.fixture
def three():
    return [make_user(name) for name in ("alice", "bob", "dave")]


def active(users):
    return [User.objects.get(pk=user.pk).is_active for user in users]


def outcomes():
    return dict(BulkPerson.objects.values_list("user__username", "outcome"))


def test_staff_deactivate_several_people_with_one_reason(three):
    carol = desk()
    page = bulk_page(choose(carol, "deactivate", three))
    carol.post(page, {"reason": " "})
    assert active(three) == [True] * 3, "nothing happens before there is a reason"

    carol.post(page, {"reason": REASON})

    assert active(three) == [False] * 3
    for user in three:
        row = user.activity.get(kind="switched_off")
        assert (row.actor, row.reason) == ("carol", REASON)


def test_staff_sign_out_several_people(three):
    browser, carol = signed_in(three[0]), desk()
    page = bulk_page(choose(carol, "end-sessions", three))

    assert "2 people: Not signed in anywhere" in carol.get(page).text
    carol.post(page, {"reason": REASON})

    assert not is_signed_in(browser)
    assert active(three) == [True] * 3


def test_the_page_says_who_is_left_out_and_why(three):
    helper, carol = member("helper", "Support"), desk()
    switch_off(three[1])
    chosen = [*three, helper, User.objects.get(username="carol")]

    page = bulk_page(choose(carol, "deactivate", chosen))

    assert outcomes() == {
        "alice": "",
        "bob": "already_done",
        "dave": "",
        "helper": "not_allowed_on_staff",
        "carol": "own_account",
    }
    assert "1 person: This is your own account." in carol.get(page).text
    carol.post(page, {"reason": REASON})
    assert active(chosen) == [False, False, False, True, True]


@pytest.mark.parametrize(
    "name, back, is_undone",
    [
        ("deactivate", "reactivate", lambda user: user.is_active),
        ("delete", "undo-deletion", lambda user: user.deletion_due is None),
    ],
)
def test_a_bulk_act_has_a_counterpart(three, name, back, is_undone):
    carol = desk()
    page = bulk_page(choose(carol, name, three[:2]))
    carol.post(page, {"reason": REASON})
    assert f'name="action" value="{back}"' in carol.get(page).text
    assert carol.post(page, {"action": "end-sessions"}).url == page, "that undoes nothing"
    carol.post(bulk_page(carol.post(page, {"action": back})), {"reason": REASON})

    assert all(is_undone(reloaded(user)) for user in three)
    assert three[0].activity.latest("id").reason == REASON
    assert three[2].username not in outcomes(), "only those on whom it acted are offered"


def test_whom_a_bulk_act_leaves_out_follows_the_rule_for_single_acts():
    def is_refused(staff, user):
        try:
            roles.check(staff, user)
        except PublicError:
            return True
        return False

    acting = [user for user in staff_of_every_role().values() if role_of(user) in ACTING]
    everybody = [*people().values(), *acting]

    for staff in acting:
        beyond = set(roles.out_of_reach(staff, User.objects.all()))
        for user in everybody:
            assert (user in beyond) is is_refused(staff, user), (staff, user)


def test_each_request_acts_on_a_batch_and_another_process_continues(three, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 2)
    carol = desk()
    page = bulk_page(choose(carol, "deactivate", three))

    carol.post(page, {"reason": REASON})
    assert sorted(active(three)) == [False, False, True]
    assert page in carol.get(LIST).text, "the list of people leads back to it"
    signed_in(User.objects.get(username="carol")).post(page)

    assert active(three) == [False] * 3
    assert page not in carol.get(LIST).text


def test_a_stopped_bulk_act_does_not_continue(three, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 1)
    carol = desk()
    page = bulk_page(choose(carol, "deactivate", three))
    carol.post(page, {"reason": REASON})

    carol.post(page, {"stop": "1"})
    carol.post(page)

    assert "You stopped the action." in carol.get(page).text
    assert sorted(active(three)) == [False, True, True]


def test_a_bulk_act_has_a_limit(three, monkeypatch):
    monkeypatch.setattr(bulk, "MOST", 2)
    carol = desk()

    assert choose(carol, "deactivate", three).url == LIST

    assert not BulkAct.objects.exists()


def test_the_list_offers_the_bulk_acts_to_those_who_act_and_not_djangos_own():
    def actions(browser):
        form = browser.get(LIST).context["action_form"]
        return form and [name for name, _label in form.fields["action"].choices]

    assert actions(desk("Auditor")) is None
    assert actions(desk("Superuser", "erin")) == ["", *bulk.KINDS]


def test_what_a_departing_member_knew_is_on_one_page_with_a_button_each():
    carol, owner = member("carol", "Superuser"), desk("Superuser", "owner")
    hers = signed_in(carol)
    register(hers)
    invite(hers, "dave")
    key_of(carol)
    carol = reloaded(carol)
    page = f"{page_of(carol)}known/"
    form = r'(?s)<form method="post" action="(/admin/[^"]+)">(.*?)</form>'
    forms = re.findall(form, owner.get(page).text)
    assert len(forms) == 3

    old = ClientSecret.objects.get()
    for url, fields in forms:
        owner.post(url, dict(re.findall(r'name="(target|reason|now)" value="([^"]*)"', fields)))

    assert ClientSecret.objects.get().pk != old.pk
    assert not Invitation.objects.exists()
    assert not APIKey.objects.exists()
    assert "knows no secret, key or invitation" in owner.get(page).text
    assert page in owner.get(page_of(carol)).text


def test_only_those_who_may_act_on_a_member_see_what_they_knew(alice, carol):
    for person in (User.objects.get(username="carol"), member("erin", "Manager")):
        assert carol.get(f"{page_of(person)}known/").status_code == 403
        assert "No second factor" not in carol.get(f"{page_of(person)}deactivate/").text


def test_old_bulk_acts_are_deleted(three, clock):
    carol = member("carol", "Support")
    started, _unstarted = (
        bulk.prepare("deactivate", carol, Actor(), User.objects.all()) for _ in range(2)
    )
    bulk.start(started, REASON, Actor())

    kept = []
    for days in (1, 28, 1):
        clock.advance(days=days)
        call_command("prune")
        kept.append(list(BulkAct.objects.all()))

    assert kept == [[started], [started], []]


def test_superusers_hear_once_of_many_acts_one_after_the_other_whatever_their_language():
    """Withstands a member of staff."""
    member("erin", "Superuser")
    carol, people = desk("Manager"), [make_user(f"user{n}") for n in range(23)]
    for number, person in enumerate(people, 1):
        language = {"Accept-Language": ("en", "de")[number % 2]}
        carol.post(f"{page_of(person)}deactivate/", {"reason": REASON}, headers=language)
        assert Activity.objects.filter(kind="bulk_started").count() == (number > 20)

    row = Activity.objects.get(kind="bulk_started")
    assert (str(row.user), row.actor, row.reason) == ("erin", "carol", REASON)
    assert row.detail == "Das Konto deaktivieren: 21"

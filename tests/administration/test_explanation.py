"""Why somebody cannot sign in, as the page about the person and the API say it."""

import html
import re
import smtplib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.activity.services import Actor
from accounts.administration import explanation
from accounts.administration.budgets import REFUSALS
from accounts.administration.explanation import explain
from accounts.administration.person import Facts
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method
from accounts.deletion import services as deletion
from accounts.emails import services as emails
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.mail.services import Queue, deliver_due
from accounts.oauth import connections
from accounts.oauth.clients import services as clients
from accounts.recovery.locks import lock_down
from accounts.sessions import services as sessions
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.throttle import services as throttle
from accounts.throttle.limits import FACTOR_ACCOUNT, LOGIN_NETWORK, LOGIN_SUBSCRIBER, MAIL_BOX
from accounts.twofactor import verification
from accounts.twofactor.models import Authenticator
from accounts.users.models import Identity, PendingSignup, User
from tests.support.administration import HERE, act, desk, page_of
from tests.support.api import call
from tests.support.api_keys import key_of
from tests.support.apps import asked_for, make_app
from tests.support.authorize import begin, first_party
from tests.support.env import ROOT
from tests.support.invitations import accept, invite, invited_link, superuser
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.second_steps import RESET, request_recovery, with_factor
from tests.support.signin import set_up, signed_in
from tests.support.steps import CODE, LOGOUT, WRONG, make_staff, make_user, sign_in, sign_up
from tests.support.webauthn import registered


def newest(name="alice"):
    return User.objects.get(username=name)


def at(line):
    """Return a browser in a wide network of its own."""
    return Client(REMOTE_ADDR=f"10.{line}.0.1")


def silence(email):
    """Let strangers request as many emails to ``email`` as its mailbox gets."""
    for line in range(MAIL_BOX.burst):
        at(line).post(RESET, {"login": email})
    deliver_due()


def refuse_mails(monkeypatch):
    """Let the mail server refuse the recipients of the waiting emails."""

    def refuse(_mail, messages):
        raise smtplib.SMTPRecipientsRefused(dict.fromkeys(messages[0].to, (550, b"None")))

    with monkeypatch.context() as refusing:
        refusing.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        deliver_due()


def silenced_by_strangers(_world):
    alice = make_user("alice")
    silence(alice.email)
    return alice


def with_a_guessing_neighbour(_world):
    make_user("alice")
    sign_in(at(1), "alice")
    neighbour = ClientInfo("10.1.0.1", "")
    for _ in range(LOGIN_NETWORK.burst):
        throttle.hit(*throttle.around(LOGIN_NETWORK, neighbour))
    return newest()


def with_a_used_up_browser(_world):
    alice, browser = make_user("alice"), Client()
    sign_in(browser, "alice")
    browser.post(LOGOUT)
    for _ in range(LOGIN_SUBSCRIBER.burst):
        sign_in(browser, "alice", WRONG)
    return User.objects.get(pk=alice.pk)


def outside_the_group_of_an_app(_world):
    alice, browser = make_user("alice"), Client()
    group = Group.objects.create(name="Editors")
    sign_in(browser, "alice")
    assert begin(browser, first_party(required_group=group)).status_code == 403
    return User.objects.get(pk=alice.pk)


def without_the_factor_of_an_app(_world):
    alice, browser = make_user("alice"), Client()
    sign_in(browser, "alice")
    assert begin(browser, first_party(factor="passkey")).status_code == 302
    return User.objects.get(pk=alice.pk)


def without_a_way_in(_world):
    alice = make_user("alice", password=None, email="")
    alice.emails.all().delete()
    return alice


def with_a_waiting_code(_world):
    alice = make_user("alice")
    Client().post(CODE, {"login": "alice"})
    return alice


def signed_up_in_vain(_world):
    silence("alice@example.org")
    sign_up(Client(), "alice")
    return PendingSignup.objects.get()


def with_a_taken_address(_world):
    make_user("bob")
    sign_up(Client(), "alice", "bob@example.org")
    deliver_due()
    return PendingSignup.objects.get()


def with_a_wrong_password_after_a_wrong_code(_world):
    alice, _seed = with_factor()
    sign_in(client := Client(), "alice")
    client.post(CHALLENGE, {"code": "000000"})
    sign_in(Client(), "alice", WRONG)
    return User.objects.get(pk=alice.pk)


def with_one_provider_gone(world):
    set_up(world.settings, google_client_id="x", google_client_secret="x")
    alice = without_provider(world)
    issuer = world.settings.AUTHSITE.issuers[0].issuer
    Identity.objects.create(user=alice, issuer=issuer, subject="2")
    return alice


def locked_without_an_address(_world):
    alice = make_user("alice", email="")
    alice.emails.all().delete()
    lock_down(alice, Actor())
    return newest()


def unconfirmed(_world):
    sign_up(Client(), "alice")
    deliver_due()
    return PendingSignup.objects.get()


def with_wrong_address(_world):
    alice = make_user("alice")
    emails.add(alice, "alice@work.example", HERE)
    deliver_due()
    return alice


def locked(_world):
    lock_down(make_user("alice"), Actor())
    return newest()


def switched_off(_world):
    return make_user("alice", is_active=False)


def without_factor(_world):
    return make_user("alice", is_staff=True)


def without_passkey(world):
    alice = make_user("alice", is_staff=True)
    enrolled(alice)
    set_up(world.settings, staff_factor="passkey")
    return alice


def with_a_passkey_that_is_required(world):
    alice = without_passkey(world)
    registered(alice)
    return alice


def waiting(_world):
    with_factor()
    request_recovery()
    OutgoingMail.objects.all().delete()
    return newest()


def attacked(_world):
    alice = make_user("alice")
    for n in range(20):
        with pytest.raises(InvalidCredentials):
            verify_password("alice", WRONG, ClientInfo(f"198.51.{n}.1", ""))
    return alice


def invited(_world):
    invite(superuser("owner")[1], "alice")
    accept(invited_link(), "alice")
    return newest()


def signed_out_by_staff(world):
    alice = make_user("alice")
    signed_in(alice)
    world.clock.advance(minutes=1)
    sessions.revoke_by_operator(alice, Actor(name="carol"))
    return newest()


def with_an_expired_key(world):
    alice = make_user("alice")
    key_of(alice, days=1, name="Backup")
    world.clock.advance(days=2)
    return alice


def with_a_leaked_password(_world):
    make_user("alice", password="password1234")
    assert call("me/", basic="alice:password1234").code == "password_compromised"
    return newest()


def without_provider(_world):
    alice = make_user("alice", password=None)
    Identity.objects.create(user=alice, issuer="https://gone.example", subject="1")
    return alice


def with_copied_cookie(_world):
    alice = make_user("alice")
    signed_in(alice, Client()).get("/", headers={"user-agent": "Mozilla/5.0 Firefox/130.0"})
    return newest()


def with_lost_encryption_key(_world):
    alice, _seed = with_factor()
    Authenticator.objects.update(sealed_seed="encrypted with a lost key")
    sign_in(client := Client(), "alice")
    client.post(CHALLENGE, {"code": "123456"})
    return alice


def with_unreadable_hash(_world):
    make_user("alice")
    User.objects.update(password="sealed$with a lost key")
    return User.objects.get()


def with_disabled_app(_world):
    alice, app = make_user("alice"), make_app()
    connections.agree(asked_for(app), alice, Actor())
    clients.set_enabled(app, Actor(), enabled=False)
    return alice


def with_app_of_a_group(_world):
    """Alice is in the group of one of her two apps."""
    alice = make_user("alice")
    for name in ("Editors", "Writers"):
        group = Group.objects.create(name=name)
        connections.agree(asked_for(make_app(required_group=group)), alice, Actor())
    alice.groups.add(group)
    return newest()


def with_a_refused_mail(world):
    alice = make_user("alice")
    Client().post(CODE, {"login": "alice"})
    refuse_mails(world.monkeypatch)
    return alice


def locked_with_a_refused_mail(world):
    locked(world)
    refuse_mails(world.monkeypatch)
    return newest()


def guessed_at_and_without_a_provider(_world):
    alice, _seed = with_factor()
    for line in range(FACTOR_ACCOUNT.burst):
        throttle.hit(*verification.of_guess(alice, None, ClientInfo(f"10.{line}.0.1", "")))
    Identity.objects.create(user=alice, issuer="https://gone.example", subject="1")
    return alice


def switched_off_with_a_taken_address(world):
    bob = make_user("bob")
    alice = make_user("alice")
    emails.add(alice, bob.email, HERE)
    deliver_due()
    User.objects.filter(pk=alice.pk).update(is_active=False)
    return newest()


def to_be_deleted(_world):
    deletion.request(make_user("alice"), Actor())
    return newest()


# For each cause: how to plant it, the codes of all that stops alice then, and words of the first.
CAUSES: dict[str, tuple[Callable[[Any], User | PendingSignup], list[str], str]] = {
    "a silenced mailbox": (silenced_by_strangers, ["mails_used_up"], "No more emails"),
    "a guessing neighbour": (with_a_guessing_neighbour, ["network_used_up"], "from 10.1.0.1"),
    "own browser": (
        with_a_used_up_browser,
        ["browser_attempts_used_up", "wrong_password"],
        "with one of their browsers",
    ),
    "a first sign-in to an app": (outside_the_group_of_an_app, ["not_in_group"], "“Editors”"),
    "no way in": (without_a_way_in, ["no_way_in"], "has no way to sign in"),
    "a waiting code": (with_a_waiting_code, ["mail_waiting"], "hasn’t been sent yet"),
    "signed up in vain": (signed_up_in_vain, ["not_confirmed", "mails_used_up"], "confirmed"),
    "a taken address": (with_a_taken_address, ["not_confirmed", "address_taken"], "confirmed"),
    "password, not code": (
        with_a_wrong_password_after_a_wrong_code,
        ["wrong_password"],
        "The password was wrong",
    ),
    "one provider gone": (with_one_provider_gone, ["provider_gone"], "https://gone.example"),
    "no address to unlock": (
        locked_without_an_address,
        ["locked", "no_way_to_unlock"],
        "the account is locked",
    ),
    "never confirmed": (unconfirmed, ["not_confirmed"], "the sign-up isn’t confirmed"),
    "locked": (locked, ["locked"], "the account is locked"),
    "switched off": (switched_off, ["switched_off"], "the account is deactivated"),
    "no second factor": (without_factor, ["factor_missing"], "must add a second factor"),
    "no passkey": (without_passkey, ["passkey_required"], "must add a passkey"),
    "a passkey": (with_a_passkey_that_is_required, ["passkey_required"], "not with a code"),
    "attack": (attacked, ["attempts_used_up", "wrong_password"], "too many wrong passwords"),
    "invitation used": (invited, ["invitation_used"], "The invitation for alice was accepted"),
    "session ended": (signed_out_by_staff, ["session_ended"], "alice was signed out"),
    "key expired": (with_an_expired_key, ["key_expired"], "“Backup, authsite_"),
    "leaked password": (with_a_leaked_password, ["password_compromised"], "Programs of alice"),
    "lost key": (with_lost_encryption_key, ["factor_unreadable"], "can’t sign in with codes"),
    "lost hash": (with_unreadable_hash, ["password_unreadable"], "can’t sign in with a password"),
    "deletion": (to_be_deleted, ["deletion_requested"], "alice will be deleted"),
    "recovery": (waiting, ["recovery_waiting"], "A request to recover the account of alice"),
    "disabled app": (with_disabled_app, ["app_disabled"], "can’t sign in to Paperless because"),
    "refused mail": (with_a_refused_mail, ["mail_failed"], "couldn’t be delivered"),
    "locked, refused mail": (locked_with_a_refused_mail, ["locked", "mail_failed"], "is locked"),
    "guessed codes, no provider": (
        guessed_at_and_without_a_provider,
        ["codes_used_up", "provider_gone"],
        "too many wrong codes",
    ),
    "deactivated, taken address": (
        switched_off_with_a_taken_address,
        ["switched_off", "address_taken"],
        "is deactivated",
    ),
    "wrong address": (with_wrong_address, ["address_not_confirmed"], "an address that isn’t"),
    "provider gone": (without_provider, ["provider_gone"], "https://gone.example"),
    "app of a group": (with_app_of_a_group, ["not_in_group"], "needs the group “Editors”"),
    "factor of an app": (without_the_factor_of_an_app, ["app_factor_missing"], "needs a passkey"),
    "session protection": (with_copied_cookie, ["session_protection"], "another browser used"),
}


def first_sentence(account):
    """Return the first sentence of the page about ``account``, as carol reads it."""
    browser = signed_in(make_staff("carol"), by=[Method.PASSKEY])
    page = browser.get(page_of(account)).text
    found = re.search(r'<h2 id="why">(.+?)</h2>', page)
    assert found, page
    return html.unescape(found[1])


def codes_of(account):
    return [block.code for block in explain(Facts(account))]


@pytest.mark.parametrize("cause", CAUSES)
def test_every_planted_cause_is_named_and_nothing_else(settings, clock, monkeypatch, cause):
    plant, codes, words = CAUSES[cause]
    account = plant(SimpleNamespace(settings=settings, clock=clock, monkeypatch=monkeypatch))

    assert codes_of(account) == codes
    assert words in first_sentence(account)


def test_nothing_stops_a_person_only_if_everything_was_checked(settings):
    alice = make_user("alice")
    assert codes_of(alice) == ["not_checked"]
    seen = "We can’t see: the network that they use; whether emails reach them."
    assert first_sentence(alice) == seen

    sign_in(Client(), "alice")
    deliver_due()
    page = signed_in(User.objects.get(username="carol")).get(page_of(alice)).text
    assert "Nothing stops alice from signing in." in html.unescape(page)

    set_up(settings, google_client_id="x", google_client_secret="x")
    issuer = settings.AUTHSITE.issuers[0].issuer
    Identity.objects.create(user=alice, issuer=issuer, subject="1")
    (block,) = explain(Facts(newest()))
    assert block.sentence == "We can’t see: whether Google lets them in."


def test_an_email_is_said_to_have_left_only_if_a_mail_server_took_it(monkeypatch):
    sign_up(Client(), "alice")
    signup = PendingSignup.objects.get()

    def advice():
        return explain(Facts(signup))[0].advice

    assert advice() == "The email with the code for alice@example.org hasn’t been sent yet."
    refuse_mails(monkeypatch)
    assert "hasn’t been sent" in advice()
    OutgoingMail.objects.update(due_at=signup.expires_at - timedelta(days=3))
    deliver_due()
    assert advice().startswith("The mail server accepted the email with the code for alice@")
    MailReceipt.objects.all().delete()
    assert advice() == "No email with the code was sent to alice@example.org."


def test_an_address_of_another_account_is_not_offered_and_its_owner_is_linked(carol):
    """Withstands a member of staff."""
    bob = make_user("bob")
    sign_up(Client(), "alice", bob.email)
    signup = PendingSignup.objects.get()

    page = carol.get(page_of(signup)).text
    assert "confirm-address" not in page
    assert f'href="{page_of(bob)}"' in page
    assert act(carol, signup, "confirm-address").status_code == 409
    page = desk("Auditor", "dave").get(page_of(signup)).text
    assert "an address that belongs to another account" in page
    assert page_of(bob) not in page


@pytest.mark.parametrize("where, kind", REFUSALS)
def test_each_limit_that_can_stop_a_person_is_named_while_it_is_used_up(where, kind, clock):
    sign_in(at(1), make_user("alice").username)
    deliver_due()
    alice = newest()
    uses = [use for use in Facts(alice).uses if (use.where, use.kind) == (where, kind)]
    assert codes_of(alice) == []

    for budget in uses[0].budgets:
        while not throttle.wait(budget):
            throttle.hit(budget)

    (block,) = explain(Facts(alice))
    assert block.code == REFUSALS[where, kind].code
    assert block.until is not None


def test_the_guide_names_every_code():
    source = Path(explanation.__file__).read_text()
    codes = {refusal.code for refusal in REFUSALS.values()}
    codes |= {code for code, _sentence, _advice in explanation.FAILURES.values()}
    codes |= set(re.findall(r'Block\(\s*"(\w+)"', source))
    guide = (ROOT / "docs/administration.md").read_text()
    part = guide.partition("## Why somebody")[2].partition("\n## ")[0]

    assert set(re.findall(r"`([a-z]+_[a-z_]+|locked)`", part)) - {"show_user"} == codes


def test_the_waiting_period_is_offered_only_if_it_can_begin(carol):
    alice, _seed = with_factor()
    offered = '<option value="wait">'
    assert offered in carol.get(page_of(alice)).text

    request_recovery()
    assert offered not in carol.get(page_of(alice)).text


def test_the_reset_of_limits_names_them_and_includes_emails(carol):
    alice = make_user("alice")
    silence(alice.email)
    sign_in(at(20), "alice", WRONG)
    page = carol.get(page_of(alice)).text
    assert '<option value="mails">Emails with codes and links</option>' in page
    assert '<option value="codes">' not in page

    assert act(carol, alice, "clear-limits", target="mails").status_code == 302
    assert codes_of(alice) == ["wrong_password"]
    at(21).post(RESET, {"login": "alice"})
    assert OutgoingMail.objects.filter(queue=Queue.CODES).count() == 1
    assert act(carol, alice, "clear-limits").status_code == 302
    cleared = [row.detail for row in alice.activity.filter(kind="limits_cleared").order_by("id")]
    assert cleared == ["mails", "passwords mails"]
    history = signed_in(alice).get("/accounts/activity/").text
    assert "Wrong passwords, Emails with codes and links" in history


def test_attempts_end_with_the_limits_that_decide_at_sign_in(clock):
    alice = attacked(None)
    block = explain(Facts(alice))[0]
    assert block.until is not None

    clock.set(block.until - timedelta(seconds=1))
    assert explain(Facts(alice))[0].code == "attempts_used_up"
    assert sign_in(Client(), "alice").status_code == 429, "the password is right"
    clock.set(block.until)
    assert sign_in(Client(), "alice").status_code == 302
    deliver_due()
    assert not explain(Facts(newest()))


def test_attempts_from_one_network_stop_only_that_network():
    alice = make_user("alice")
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            verify_password("alice", WRONG, HERE)

    (network, failed) = explain(Facts(alice))

    assert (network.code, failed.code) == ("network_attempts_used_up", "wrong_password")
    assert HERE.ip in network.sentence
    Identity.objects.create(user=alice, issuer="https://gone.example", subject="1")
    assert [block.code for block in explain(Facts(alice))[:2]] == ["provider_gone", network.code]


def test_the_page_says_why_each_attempt_failed():
    alice = make_user("alice")
    sign_in(Client(), "alice", WRONG)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    sign_in(Client(), "alice")
    lock_down(alice, Actor())
    sign_in(Client(), "alice", WRONG)

    page = signed_in(make_staff("carol")).get(page_of(alice)).text

    for reason in ("Wrong password", "The account was deactivated", "The account was locked"):
        assert f"<bdi>{reason}</bdi>" in page


def test_the_page_shows_waiting_and_refused_emails(monkeypatch):
    sign_up(Client(), "alice")
    browser = signed_in(make_staff("carol"))
    page = page_of(PendingSignup.objects.get())
    assert "Waiting" in browser.get(page).text
    refuse_mails(monkeypatch)
    text = browser.get(page).text
    assert "The last email to alice couldn’t be delivered." in text
    assert "Refused by the mail server" in text
    assert "has refused the recipients of 2 emails" in browser.get("/admin/").text

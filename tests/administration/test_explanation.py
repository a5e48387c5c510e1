"""Why somebody cannot sign in, as the page about the person and the API say it."""

import html
import re
import smtplib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.activity.services import Actor
from accounts.administration.explanation import explain
from accounts.administration.person import Facts
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method
from accounts.emails import services as emails
from accounts.mail.services import deliver_due
from accounts.oauth import connections
from accounts.oauth.clients import services as clients
from accounts.recovery.locks import lock_down
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.twofactor.models import Authenticator, Passkey
from accounts.users.models import Identity, PendingSignup, User
from tests.support.administration import HERE, page_of
from tests.support.apps import asked_for, make_app
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.second_steps import request_recovery, with_factor
from tests.support.signin import set_up, signed_in
from tests.support.steps import WRONG, make_staff, make_user, sign_in, sign_up


def unconfirmed(_settings):
    sign_up(Client(), "alice")
    return PendingSignup.objects.get()


def with_wrong_address(_settings):
    alice = make_user("alice")
    emails.add(alice, "alice@work.example", HERE)
    return alice


def locked(_settings):
    alice = make_user("alice")
    lock_down(alice, Actor())
    return User.objects.get(pk=alice.pk)


def switched_off(_settings):
    return make_user("alice", is_active=False)


def without_factor(_settings):
    return make_user("alice", is_staff=True)


def without_passkey(settings):
    alice = make_user("alice", is_staff=True)
    enrolled(alice)
    set_up(settings, staff_factor="passkey")
    return alice


def waiting(_settings):
    alice, _seed = with_factor()
    request_recovery()
    return User.objects.get(pk=alice.pk)


def attacked(_settings):
    alice = make_user("alice")
    for n in range(20):
        with pytest.raises(InvalidCredentials):
            verify_password("alice", WRONG, ClientInfo(f"198.51.{n}.1", ""))
    return alice


def without_provider(_settings):
    alice = make_user("alice", password=None)
    Identity.objects.create(user=alice, issuer="https://gone.example", subject="1")
    return alice


def with_copied_cookie(_settings):
    alice = make_user("alice")
    signed_in(alice, Client()).get("/", headers={"user-agent": "Mozilla/5.0 Firefox/130.0"})
    return User.objects.get(pk=alice.pk)


def with_lost_encryption_key(_settings):
    alice, _seed = with_factor()
    Authenticator.objects.update(sealed_seed="encrypted with a lost key")
    sign_in(client := Client(), "alice")
    client.post(CHALLENGE, {"code": "123456"})
    return alice


def with_unreadable_hash(_settings):
    make_user("alice")
    User.objects.update(password="sealed$with a lost key")
    return User.objects.get()


def with_disabled_app(_settings):
    alice, app = make_user("alice"), make_app()
    connections.agree(asked_for(app), alice, Actor())
    clients.set_enabled(app, Actor(), enabled=False)
    return alice


def with_app_of_a_group(_settings):
    """Alice is in the group of one of her two apps."""
    alice = make_user("alice")
    for name in ("Editors", "Writers"):
        group = Group.objects.create(name=name)
        connections.agree(asked_for(make_app(required_group=group)), alice, Actor())
    alice.groups.add(group)
    return User.objects.get(pk=alice.pk)


CAUSES: dict[str, tuple[Callable[[Any], User | PendingSignup], str, str]] = {
    "never confirmed": (unconfirmed, "not_confirmed", "the sign-up isn’t confirmed"),
    "wrong address": (with_wrong_address, "address_not_confirmed", "an address that isn’t"),
    "locked": (locked, "locked", "the account is locked"),
    "switched off": (switched_off, "switched_off", "the account is deactivated"),
    "no second factor": (without_factor, "factor_missing", "must add a second factor"),
    "no passkey": (without_passkey, "passkey_required", "must add a passkey"),
    "recovery": (waiting, "recovery_waiting", "A request to recover the account of alice"),
    "attack": (attacked, "attempts_used_up", "too many wrong passwords"),
    "provider gone": (without_provider, "provider_gone", "https://gone.example"),
    "lost key": (with_lost_encryption_key, "factor_unreadable", "can’t sign in with codes"),
    "lost hash": (with_unreadable_hash, "password_unreadable", "can’t sign in with a password"),
    "disabled app": (with_disabled_app, "app_disabled", "can’t sign in to Paperless because"),
    "app of a group": (with_app_of_a_group, "not_in_group", "it’s for the group “Editors”"),
    "session protection": (with_copied_cookie, "session_protection", "another browser used"),
}


def first_sentence(account):
    """Return the first sentence of the page about ``account``, as carol reads it."""
    browser = signed_in(make_staff("carol"), by=[Method.PASSKEY])
    page = browser.get(page_of(account)).text
    found = re.search(r'<h2 id="why">(.+?)</h2>', page)
    assert found, page
    return html.unescape(found[1])


@pytest.mark.parametrize("cause", CAUSES)
def test_the_first_sentence_of_the_page_names_the_cause(settings, cause):
    plant, code, words = CAUSES[cause]
    account = plant(settings)

    sentence = first_sentence(account)

    assert words in sentence
    assert "alice" in sentence
    assert explain(Facts(account))[0].code == code


def test_nothing_stops_a_user_in_order():
    assert first_sentence(make_user("alice")) == "Nothing stops alice from signing in."


def test_attempts_end_with_the_limits_that_decide_at_sign_in(clock):
    alice = attacked(None)
    block = explain(Facts(alice))[0]
    assert block.until is not None

    clock.set(block.until - timedelta(seconds=1))
    assert explain(Facts(alice))[0].code == "attempts_used_up"
    assert sign_in(Client(), "alice").status_code == 429, "the password is right"
    clock.set(block.until)
    assert sign_in(Client(), "alice").status_code == 302
    assert not explain(Facts(User.objects.get(pk=alice.pk)))


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


def test_a_passkey_that_staff_must_use_is_named_and_codes_are_not(settings):
    alice = without_passkey(settings)
    fields = {"sign_count": 0, "is_synced": False, "is_eligible": False}
    Passkey.objects.create(user=alice, name="Key", credential_id="a", aaguid="", **fields)

    sentence = explain(Facts(alice))[0].sentence
    assert sentence == "alice can sign in only with a passkey, not with a code."


def test_a_sign_in_settles_earlier_failures():
    alice = make_user("alice")
    sign_in(Client(), "alice", WRONG)
    assert [block.code for block in explain(Facts(alice))] == ["wrong_password"]

    sign_in(Client(), "alice")

    assert explain(Facts(User.objects.get(pk=alice.pk))) == []


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
    unconfirmed(None)
    browser = signed_in(make_staff("carol"))
    page = page_of(PendingSignup.objects.get())
    assert "Waiting" in browser.get(page).text

    def refuse(_mail, _messages):
        raise smtplib.SMTPRecipientsRefused({"alice@example.org": (550, b"No such mailbox")})

    with monkeypatch.context() as refusing:
        refusing.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        deliver_due()
    text = browser.get(page).text
    assert "The last email to alice couldn’t be delivered." in text
    assert "Refused by the mail server" in text
    assert "has refused the recipients of 2 emails" in browser.get("/admin/").text

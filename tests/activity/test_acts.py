"""All events of one request are told in one email, and only those that are committed."""

from datetime import UTC, datetime

import pytest
from django.db import transaction
from django.test import Client

from accounts.activity import events
from accounts.activity.notices import combine_mails, end_links
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.mail.message import Message
from accounts.mail.services import deliver_due
from accounts.twofactor.models import RecoveryCodes, sealed_codes
from accounts.users.models import User
from tests.support.clock import Clock
from tests.support.second_factor import CHALLENGE, enrolled
from tests.support.steps import make_user, outbox, path_of, sign_in

pytestmark = pytest.mark.django_db
HERE = Actor(ClientInfo("192.0.2.1", "Firefox"))


@pytest.fixture
def alice() -> User:
    return make_user("alice")


def what(mail: Message) -> list[str]:
    return dict(mail.facts)["What"].splitlines()


def test_a_sign_in_with_a_recovery_code_that_trusts_the_browser_sends_one_email(
    alice: User,
) -> None:
    enrolled(alice)
    codes = ["abcdefghjk", "mnpqrstuvw"]
    RecoveryCodes.objects.create(user=alice, sealed=sealed_codes(codes, "salt"))
    browser = Client()
    sign_in(browser, "alice")

    browser.post(CHALLENGE, {"code": codes[0], "trust": "on"})

    (mail,) = outbox()
    assert mail.subject == (
        "A recovery code was used · Sign-in from a new browser · A browser is now trusted"
    )
    assert what(mail) == [
        "A recovery code was used.",
        "Signed in from a new browser.",
        "A browser was marked as trusted, so it skips two-step verification.",
    ]
    assert ["Recovery codes left", "1"] in mail.facts
    assert Client().post(path_of(mail.action_url)).status_code == 200
    assert User.objects.get().is_locked_down


def test_a_notice_is_in_the_language_and_time_zone_of_its_recipient(clock: Clock) -> None:
    clock.set(datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    bruno = make_user("bruno", language="de", time_zone="Europe/Berlin")

    record(bruno, events.PASSWORD_CHANGED, HERE)

    (mail,) = outbox()
    assert mail.subject == "Dein Passwort wurde geändert"
    assert ["Wann", "Donnerstag, 2. Juli 2026, 00:30 (Berlin)"] in mail.facts


def test_an_event_that_is_rolled_back_is_not_told(alice: User) -> None:
    with combine_mails():
        record(alice, events.PASSKEY_ADDED, HERE)
        with transaction.atomic():
            record(alice, events.PASSWORD_CHANGED, HERE)
            transaction.set_rollback(True)
        record(alice, events.KEY_MADE, HERE)

    assert sorted(mail.subject for mail in outbox()) == [
        "A passkey was added",
        "An API key was created",
    ]


def test_an_event_after_the_email_was_sent_is_told_in_another(alice: User) -> None:
    with combine_mails():
        record(alice, events.PASSKEY_ADDED, HERE)
        deliver_due()
        record(alice, events.KEY_MADE, HERE)

    assert [mail.subject for mail in outbox()] == ["An API key was created"]


def test_events_of_two_requests_are_told_in_two_emails(alice: User) -> None:
    for event in (events.PASSKEY_ADDED, events.KEY_MADE):
        with combine_mails():
            record(alice, event, HERE)

    assert [mail.subject for mail in outbox()] == ["A passkey was added", "An API key was created"]


def test_an_email_about_one_event_names_the_credential_and_does_not_repeat_its_subject(
    alice: User,
) -> None:
    record(alice, events.PASSKEY_ADDED, HERE, detail="Laptop")
    record(alice, events.PROVIDER_CONNECTED, HERE, detail="GitHub (alice)")

    added, connected = outbox()
    assert added.facts[0] == ["Name", "Laptop"]
    assert connected.facts[0] == [
        "What",
        "An account at another site was connected: GitHub (alice).",
    ]


def test_a_link_that_was_ended_within_the_act_is_not_sent_again(alice: User) -> None:
    """Otherwise the owner would get a button that does nothing."""
    with combine_mails():
        record(alice, events.PASSKEY_ADDED, HERE)
        end_links(alice, [alice.email])
        record(alice, events.KEY_MADE, HERE)

    assert Client().get(path_of(outbox()[-1].action_url)).status_code == 200

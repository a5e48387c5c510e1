"""The outbox: sealed, leased, patient, and never twice at once."""

from typing import Any

import pytest
from cryptography.fernet import InvalidToken
from django.core import mail as django_mail
from django.db import transaction

from authsite.settings.mail import mailer
from tests.conftest import Clock
from tests.faults.smtp import MailServer
from tests.support.client import together
from tests.support.process import free_port


def post(text: str = "secret words") -> None:
    from accounts.mail.message import Message
    from accounts.mail.services import post

    post(Message(to="alice@example.org", subject="Hello", paragraphs=[text]))


@pytest.mark.django_db
def test_a_mail_in_waiting_is_sealed_for_the_outbox_only() -> None:
    from accounts.kernel import crypto
    from accounts.mail.models import OutgoingMail

    post()
    sealed = OutgoingMail.objects.get().sealed

    assert "secret words" in crypto.unseal(sealed, "outbox")
    for clear in ("secret", "words", "alice", "example", "Hello"):
        assert clear not in sealed
    with pytest.raises(InvalidToken):
        crypto.unseal(sealed, "another purpose")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_fails_sends_no_mail() -> None:
    from accounts.mail.services import deliver_due

    with transaction.atomic():
        post()
        transaction.set_rollback(True)

    assert deliver_due() == 0
    assert django_mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_eight_senders_at_once_do_not_send_one_mail_twice(settings: Any) -> None:
    from accounts.mail.services import deliver_due

    for i in range(5):
        post(f"mail number {i}")

    with MailServer() as server:
        settings.MAILERS = {"default": mailer(server.url)}
        left = together(8, lambda _: deliver_due())

    assert sum(left) == 5
    assert len(server.mails) == 5
    assert all(sum(f"mail number {i}" in mail for mail in server.mails) == 1 for i in range(5))


@pytest.mark.django_db
def test_waits_grow_to_an_hour_and_after_five_days_it_gives_up(clock: Clock, settings: Any) -> None:
    from accounts.mail.models import OutgoingMail
    from accounts.mail.services import deliver_due

    settings.MAILERS = {"default": mailer(f"smtp+plain://127.0.0.1:{free_port()}")}
    post()
    waits = []
    while (row := OutgoingMail.objects.first()) and len(waits) < 200:
        assert deliver_due() == 0
        if row := OutgoingMail.objects.first():
            waits.append((row.due_at - clock.now()).total_seconds())
            clock.advance(seconds=waits[-1] - 1)
            assert deliver_due() == 0
            assert OutgoingMail.objects.get().attempts == len(waits)
            clock.advance(seconds=1)

    assert waits[:8] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert set(waits[8:]) == {3600}
    assert 5 * 24 < sum(waits) / 3600 < 5 * 24 + 2


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["down", "data"])
def test_a_5xx_is_tried_again_and_the_mail_leaves_once_the_server_works(
    clock: Clock, settings: Any, mode: str
) -> None:
    from accounts.mail.models import OutgoingMail
    from accounts.mail.services import deliver_due

    post()
    with MailServer(mode) as server:
        settings.MAILERS = {"default": mailer(server.url)}
        assert deliver_due() == 0
        server.release()
        assert deliver_due() == 0, "not before its time"
        clock.advance(seconds=30)
        assert deliver_due() == 1

    assert len(server.mails) == 1
    assert not OutgoingMail.objects.exists()


@pytest.mark.django_db
def test_a_recipient_refused_for_good_does_not_hold_up_the_others(settings: Any) -> None:
    from accounts.mail.models import OutgoingMail
    from accounts.mail.services import deliver_due

    post()
    with MailServer("recipient") as server:
        settings.MAILERS = {"default": mailer(server.url)}
        deliver_due()

    assert not OutgoingMail.objects.exists()


@pytest.mark.django_db
def test_a_sender_that_died_gives_the_mail_back_when_its_lease_ends(clock: Clock) -> None:
    from accounts.mail import services
    from accounts.mail.models import OutgoingMail

    post()
    assert services._claim(OutgoingMail.objects.get())

    assert services.deliver_due() == 0
    clock.advance(minutes=5)
    assert services.deliver_due() == 1
    assert len(django_mail.outbox) == 1


@pytest.mark.django_db
def test_a_mail_that_cannot_be_opened_does_not_stop_the_next() -> None:
    from accounts.mail.models import OutgoingMail
    from accounts.mail.services import deliver_due

    OutgoingMail.objects.create(sealed="not sealed by us")
    post()

    assert deliver_due() == 1
    assert OutgoingMail.objects.count() == 1

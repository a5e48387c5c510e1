"""Emails."""

import json
import re
import struct
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from threading import Event

import pytest
from cryptography.fernet import InvalidToken
from django.core import mail as django_mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from accounts.common import background, crypto
from accounts.common import clock as site_clock
from accounts.common.brand.files import PNG, SVG, File, Link
from accounts.mail import development_views, services
from accounts.mail.message import Message
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.mail.services import FileBackend, deliver_due
from accounts.ops import health
from authsite.settings import mailer
from tests.support.process import free_port
from tests.support.signin import set_up
from tests.support.site import together
from tests.support.smtp import MailServer

ALICE = "alice@example.org"


def post(text="secret words", to=ALICE, **how):
    services.post(Message(to=to, subject="Hello", paragraphs=[text]), **how)


def test_a_queued_mail_is_encrypted_for_the_outbox_only():
    post()
    sealed = OutgoingMail.objects.get().sealed

    assert "secret words" in crypto.unseal(sealed, "outbox")
    for clear in ("secret", "words", "alice", "example", "Hello"):
        assert clear not in sealed
    with pytest.raises(InvalidToken):
        crypto.unseal(sealed, "another purpose")


@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_senders_send_each_mail_once(settings):
    for i in range(5):
        post(f"mail number {i}")

    with MailServer() as server:
        settings.MAILERS = {"default": mailer(server.url)}
        left = together(8, lambda _: deliver_due())

    assert sum(left) == 5
    assert len(server.mails) == 5
    assert all(sum(f"mail number {i}" in mail for mail in server.mails) == 1 for i in range(5))


def test_retries_slow_down_to_one_an_hour_and_stop_after_five_days(clock, settings):
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


def test_an_email_that_waits_when_the_clock_is_set_back_two_hours_is_sent_at_once(clock):
    post()
    clock.advance(hours=-2)

    assert deliver_due() == 1


def test_an_undeliverable_mail_does_not_block_the_next(settings):
    OutgoingMail.objects.create(sealed="not sealed by us")
    post()
    with MailServer("recipient") as server:
        settings.MAILERS = {"default": mailer(server.url)}
        assert deliver_due() == 0
        post("another")
        server.mode = "ok"
        assert deliver_due() == 1


def test_a_refused_recipient_is_given_up_only_after_the_server_has_accepted_others(clock, settings):
    """Withstands a failure."""

    def deliver(mode, **pause):
        server.mode = mode
        clock.advance(**pause)
        return deliver_due()

    post()
    with MailServer() as server:
        settings.MAILERS = {"default": mailer(server.url)}
        for _ in range(100):
            # An email to nobody proves nothing about the server.
            post(to="")
            assert deliver("recipient", hours=1) == 1
        assert (services.refused().count(), health.checks()["mail"]()) == (1, "degraded")
        assert services.longest_delay(services.delays()) == 0
        post(to="bob@example.org")
        assert deliver("ok") == 1
        assert services.refused().count() == 0
        assert deliver("recipient", hours=1) == 0

    assert not OutgoingMail.objects.exists()
    assert [row.failure for row in services.receipts_of([ALICE])] == [services.REFUSED]


def test_one_refused_mailbox_is_not_taken_for_a_fault_of_the_server(clock, settings):
    def refused(email, mode="recipient"):
        server.mode = mode
        clock.advance(seconds=1)
        post(to=email)
        deliver_due()
        return services.refused().count()

    with MailServer() as server:
        settings.MAILERS = {"default": mailer(server.url)}
        assert refused("bob@example.org", "ok") == 0
        assert refused("mistyped@example.org") == refused("mistyped@example.org") == 0
        assert refused("bob@example.org") == 3
        assert refused("bob@example.org", "ok") == 0
        assert refused("bob@example.org") == 1
        assert refused("mistyped@example.org") == 2


@pytest.mark.parametrize("refusal", ["full", "over quota"])
def test_nobody_silences_an_owner_by_filling_the_mailbox(clock, settings, refusal):
    """Withstands a thief in the account."""
    post()
    with MailServer(refusal) as server:
        settings.MAILERS = {"default": mailer(server.url)}
        assert deliver_due() == 0
        server.mode = "ok"
        clock.advance(seconds=1)
        post(to="bob@example.org")
        assert deliver_due() == 1
        for _ in range(4):
            server.mode = refusal
            clock.advance(days=1)
            assert deliver_due() == 0
        assert (services.longest_delay(services.delays()), services.refused().count()) == (0, 0)
        server.mode = "ok"
        clock.advance(hours=1)
        assert deliver_due() == 1


def test_no_mail_is_lost_while_the_server_refuses_everybody(clock, settings):
    emails = [f"person{n}@example.org" for n in range(5)]
    for email in emails:
        post(to=email)
    with MailServer("recipient") as server:
        settings.MAILERS = {"default": mailer(server.url)}
        for _ in range(4):
            assert deliver_due() == 0
            clock.advance(days=1)
        server.mode = "ok"
        assert deliver_due() == len(emails)


def test_a_mail_with_fields_of_a_newer_node_is_left_to_it_and_delays_no_other():
    text = json.dumps({"to": ALICE, "subject": "Newer", "newer": ["words"]})
    newer = OutgoingMail.objects.create(sealed=crypto.seal(text, services.PURPOSE))
    post()

    assert [deliver_due(), deliver_due()] == [1, 0]
    newer.refresh_from_db()
    assert (newer.attempts, newer.due_at <= site_clock.now()) == (0, True)
    assert json.loads(crypto.unseal(newer.sealed, services.PURPOSE)) == json.loads(text)


def test_a_claimed_mail_is_claimed_again_only_when_the_lease_of_a_dead_sender_ends(clock):
    """Withstands a failure."""
    post()
    assert services.OUTBOX.claim([OutgoingMail.objects.get().pk])
    assert not services.OUTBOX.claim([OutgoingMail.objects.get().pk])

    assert deliver_due() == 0
    clock.advance(minutes=5)
    assert deliver_due() == 1
    assert len(django_mail.outbox) == 1


def test_a_mail_without_a_recipient_is_built_but_never_sent(monkeypatch):
    build, built = EmailMultiAlternatives.message, []

    def noted(mail, **options):
        built.append(mail.to)
        return build(mail, **options)

    monkeypatch.setattr(EmailMultiAlternatives, "message", noted)
    post()
    post(to="")

    assert deliver_due() == 2
    assert built == [[ALICE], [""]]
    assert [mail.to for mail in django_mail.outbox] == [[ALICE]]


def test_the_sender_leaves_a_new_mail_alone_for_200_milliseconds(clock, monkeypatch):
    stopping = Event()
    monkeypatch.setattr(services._thread, "stopping", stopping)
    monkeypatch.setattr(background, "close_old_connections", lambda: None)
    monkeypatch.setattr(services, "sleep", lambda _seconds: stopping.set())
    post()

    for wait, left in ({"milliseconds": 199}, 0), ({"milliseconds": 1}, 1):
        clock.advance(**wait)
        stopping.clear()
        services._thread.run()
        assert len(django_mail.outbox) == left


def test_a_mail_with_an_expired_code_is_not_sent(clock):
    """Withstands an accident."""
    for life in (timedelta(minutes=15), timedelta(days=3), None):
        post(f"for {life}", life=life)
    clock.advance(minutes=15)

    deliver_due()

    assert [str(mail.body).count("for 0:15:00") for mail in django_mail.outbox] == [0, 0]
    assert not OutgoingMail.objects.exists()


def test_a_batch_is_sent_over_one_connection(settings):
    for i in range(5):
        post(f"mail number {i}")

    with MailServer() as server:
        settings.MAILERS = {"default": mailer(server.url)}
        assert deliver_due() == 5
        assert server.connections == 1


def test_a_receipt_says_what_became_of_an_email_without_its_address_and_code(clock):
    """Withstands a member of staff."""
    code = "1234 5678"
    mail = Message(to=ALICE, subject=f"{code} is your code", code=code, paragraphs=["Hello"])
    services.post(mail)
    services.post(Message(to="Alice@Example.org", subject="Hello", paragraphs=["Hello"]))
    services.post(Message(to=ALICE, subject="Late", paragraphs=["Late"]), life=timedelta(minutes=1))
    assert {row.heading for row in services.waiting_for([ALICE])} == {"Late", "Hello", ""}

    clock.advance(minutes=1)
    deliver_due()

    receipts = services.receipts_of([ALICE])
    told = {row.heading: row.failure for row in receipts}
    assert told == {"": "", "Hello": "", "Late": "expired"}
    stored = str([*OutgoingMail.objects.values(), *MailReceipt.objects.values()])
    assert code not in stored
    assert "example" not in stored.lower()
    assert not services.waiting_for([ALICE])
    assert not services.receipts_of(["", "bob@example.org"])
    clock.advance(days=30)
    assert services.prune() == 3


def received(message):
    """Return the email as its recipient gets it."""
    raw = message.email("1").message().as_bytes()
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)


def test_a_long_subject_with_umlauts_arrives_unchanged():
    subject = " · ".join(["Du gehörst jetzt zum Team", "Deine Rechte wurden geändert"] * 5)

    email = received(Message(to="alice@example.org", subject=subject))

    assert email["Subject"] == subject


def test_the_plain_text_has_short_lines_and_whole_links():
    url = f"https://example.org/{'x' * 90}/"
    facts = [("What", f"{'one ' * 30}\ntwo"), ("When", "now")]
    words = {"paragraphs": ["words and " * 20], "facts": facts}
    message = Message(to=ALICE, subject="Hello", action_label="Go", action_url=url, **words)

    body = received(message).get_body(("plain",))
    assert body
    lines = body.get_content().splitlines()
    assert max(len(line) for line in lines if line != url) <= 76
    assert {url, "         two", "  When:  now"} <= set(lines)


def test_both_parts_have_the_code_and_the_links_and_people_can_answer(settings):
    support = "mailto:help@example.org?subject=Hi"
    links = (Link("Imprint", "/imprint/"),)
    set_up(settings, site_support=support, site_links=links)
    url = "http://localhost:8000/accounts/confirm-email/x/"

    action = {"action_label": "Go", "action_url": url}
    email = received(Message(to=ALICE, subject="Hello", code="1234 5678", **action))

    assert email["Reply-To"] == "help@example.org"
    assert email["Auto-Submitted"] == "auto-generated"
    for part in ("plain", "html"):
        body = email.get_body((part,))
        assert body
        for words in ("1234 5678", url, f"{settings.AUTHSITE.origin}/imprint/"):
            assert words in body.get_content()


# The first bytes of a PNG file of 320 by 36 pixels.
LOGO = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 320, 36)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(development_views, "folder", lambda: tmp_path)
    return tmp_path


def stored(folder):
    """Store an email, and return the URL of its page."""
    message = Message(to="alice@example.org", subject="<b>Hello</b>", paragraphs=["secret words"])
    FileBackend(str(folder)).send_messages([message.email("1")])
    (path,) = folder.glob("*.eml")
    return f"/dev/mail/{path.stem}/"


def test_an_email_is_shown_in_a_frame_that_runs_no_script_and_loads_nothing(folder):
    """Withstands a hostile website."""
    url = stored(folder)
    page, html = Client().get(url), Client().get(f"{url}html/")

    assert f'src="{url}html/"' in page.text
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "secret words" in page.text
    assert "secret words" in html.text
    assert "<b>" not in html.text
    policy = dict(part.partition(" ")[::2] for part in html["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        "sandbox": "allow-top-navigation-by-user-activation",
    }
    assert html["X-Frame-Options"] == "SAMEORIGIN"


WIDE, SQUARE = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 20"><path d="M0 0h9v9"/></svg>'
    for width in (80, 20)
)


@pytest.mark.parametrize(
    "logo, size, has_name",
    [
        (File(LOGO, PNG), (160, 18), False),
        (File(WIDE.encode(), SVG), (144, 36), False),
        (File(SQUARE.encode(), SVG), (36, 36), True),
        (File(b"<svg", SVG), None, True),
        ("/logo.png", None, True),
    ],
)
def test_an_email_contains_the_logo_as_png_if_it_can(folder, settings, logo, size, has_name):
    set_up(settings, site_logo=logo)

    html = Client().get(f"{stored(folder)}html/").text

    assert re.findall(
        r'src="data:image/png;base64,iVBORw.*? alt="(.*?)" width="(.*?)" height="(.*?)"', html
    ) == ([("" if has_name else "authsite", *map(str, size))] if size else [])
    assert ("<strong" in html.partition("</td>")[0]) is has_name

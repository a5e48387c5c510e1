"""The order of emails: codes first, mass mail last, and as slowly as the operator wants."""

import time
from datetime import timedelta

import pytest
from django.core import mail as django_mail

from accounts.activity.services import Actor
from accounts.common.client_info import ClientInfo
from accounts.emails import services as addresses
from accounts.mail import services
from accounts.mail.message import Message
from accounts.mail.models import OutgoingMail
from accounts.mail.services import Queue, deliver_due
from accounts.passwords import changes
from accounts.users.models import User
from tests.support.administration import bulk_page, choose, desk
from tests.support.nodes import PROVED, database
from tests.support.process import LATER_SECONDS, slack, within
from tests.support.signin import set_up
from tests.support.site import Site
from tests.support.smtp import MailServer
from tests.support.steps import join, make_user, sign_up, sql

pytestmark = pytest.mark.django_db

ALICE = "alice@example.org"
RESET = "/accounts/password/reset/"
OVERVIEW = "/admin/accounts/dailycount/"


def post(text, queue):
    services.post(Message(to=ALICE, subject="Hello", paragraphs=[text]), queue=queue)


def overview(browser):
    return " ".join(browser.get(OVERVIEW).text.split())


def seconds(number):
    return timedelta(seconds=number)


def sent():
    return [next(q.name for q in Queue if q.name in str(m.body)) for m in django_mail.outbox]


def test_emails_are_sent_in_the_order_of_their_queues():
    """Withstands a flood."""
    for queue in reversed(Queue):
        for _ in range(3):
            post(queue.name, queue)

    deliver_due()

    assert sent() == [queue.name for queue in Queue for _ in range(3)]
    assert services.lengths()[Queue.CODES] == services.delays()[Queue.CODES] == 0


def test_an_email_with_a_link_goes_first_and_is_not_sent_after_the_link_has_expired(alice, clock):
    home, alice_again = ClientInfo("10.0.0.1", ""), User.objects.get
    row = addresses.add(alice, "new@example.org", home)
    clock.advance(minutes=1)

    for act, life in (
        (lambda: addresses.add(alice_again(), row.email, home), addresses.LIFE),
        (lambda: changes.send_reset("alice", "nonce", home), changes.LINK.life),
        (lambda: changes.send_reset_by_staff(alice_again(), ALICE, Actor()), changes.LINK.life),
    ):
        OutgoingMail.objects.all().delete()
        act()
        mail = OutgoingMail.objects.exclude(expires_at=None).get()
        assert (mail.queue, mail.expires_at) == (Queue.CODES, clock.now() + life)


def test_a_code_that_is_posted_while_a_batch_is_sent_is_sent_next():
    for _ in range(3):
        post("NOTICES", Queue.NOTICES)

    def post_after_the_first():
        if len(django_mail.outbox) == 1:
            post("CODES", Queue.CODES)
        return False

    assert deliver_due(post_after_the_first) == 4
    assert sent() == ["NOTICES", "CODES", "NOTICES", "NOTICES"]


def test_all_senders_together_keep_to_the_speed_of_mass_mail(clock, settings):
    set_up(settings, mail_per_second=4)
    for _ in range(30):
        post("MASS", Queue.MASS)

    # The pauses of at most two seconds in which senders sleep are made up for.
    assert [deliver_due() for _ in range(3)] == [9, 0, 0]
    for seconds, number in (0.2, 0), (0.3, 2), (1, 4), (60, 9):
        clock.advance(seconds=seconds)
        assert deliver_due() == number
    post("NOTICES", Queue.NOTICES)
    assert deliver_due() == 1
    clock.advance(hours=-2)
    assert deliver_due() == 6


def test_the_sender_looks_rarely_only_while_no_email_waits(clock):
    assert services._send() == services.LOOK_IDLE_SECONDS

    for _ in range(30):
        post("MASS", Queue.MASS)
    while not (pause := services._send()):
        pass

    # Otherwise mass mail would be slower than it may be.
    assert pause < services.CATCH_UP.total_seconds()


def test_staff_see_how_many_emails_of_each_mass_mail_were_sent(clock, settings):
    set_up(settings, mail_per_second=1)
    people = [make_user(f"person{n}") for n in range(5)]
    carol = desk()
    OutgoingMail.objects.all().delete()
    for name in ("deactivate", "reactivate"):
        carol.post(bulk_page(choose(carol, name, people)), {"reason": "Spam"})
        clock.advance(seconds=0.1)
    assert services.ages()[Queue.MASS] == [10, 0, 0, 0]

    assert deliver_due() == 3
    found = services.mass_mails()
    assert [(mass.sent, mass.total) for mass in found] == [(3, 5), (0, 5)]
    assert [mass.ends_at - clock.now() for mass in found] == [seconds(2), seconds(7)]
    assert f"“{found[0].heading}”: 3 of 5 emails sent. Earliest end: " in overview(carol)

    OutgoingMail.objects.all().delete()
    assert "emails sent" not in overview(carol)


def test_mass_mail_that_waits_for_its_turn_is_not_late(clock):
    post("MASS", Queue.MASS)
    post("NOTICES", Queue.NOTICES)
    clock.advance(minutes=1)

    assert services.longest_delay(services.delays()) == 60
    OutgoingMail.objects.filter(queue=Queue.NOTICES).delete()
    assert services.longest_delay(services.delays()) == 0


COPIES = """
    INSERT INTO accounts_outgoingmail
        (id, sealed, queue, recipient, heading, created_at, due_at, attempts)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
    SELECT {id}, sealed, CASE WHEN n <= {count} / 3 THEN {notices} ELSE {mass} END,
        recipient, heading, created_at, created_at, 0
    FROM numbers, accounts_outgoingmail
"""
IDS = {"sqlite": "lower(hex(randomblob(16)))", "postgres": "gen_random_uuid()"}
MANY = [pytest.mark.proof, pytest.mark.alone]


def resets(site):
    return site.mails(to="alice@", subject="Set a new password")


@pytest.mark.parametrize(
    "kind, count",
    [
        ("sqlite", 3000),
        pytest.param("sqlite", 300_000, marks=MANY),
        pytest.param("postgres", 300_000, marks=[*PROVED, *MANY]),
    ],
)
def test_a_code_is_sent_soon_while_thousands_of_notices_and_mass_emails_wait(
    request, record_property, kind, count
):
    settings = {"LIMITS_SCALE": "1000", "MAIL_PER_SECOND": "100"} | database(request, kind)
    with MailServer() as server, Site(EMAIL_URL=server.url, **settings) as site:
        server.folder = site.data_dir / "mail"
        server.folder.mkdir(exist_ok=True)
        join(site, site.client(), "alice")
        server.mode = "down"
        sign_up(site.client(), "bob")
        tried = "SELECT 1 FROM accounts_outgoingmail WHERE attempts > 0"
        assert within(LATER_SECONDS, lambda: sql(site, tried))
        sql(site, COPIES.format(count=count, id=IDS[kind], notices=1, mass=3))
        server.mode = "ok"

        seconds = []
        for n in range(10 if count < 10_000 else 100):
            began = time.monotonic()
            site.client().post(RESET, {"login": "alice"})
            assert within(LATER_SECONDS, lambda n=n: len(resets(site)) > n)
            seconds.append(time.monotonic() - began)
        p99 = sorted(seconds)[round(0.99 * len(seconds)) - 1]
        record_property("p99", p99)
        assert p99 < 5 * slack()
        assert sql(site, "SELECT count(*) FROM accounts_outgoingmail")[0][0] > count / 2

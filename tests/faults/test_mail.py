"""Pages answer at once while the mail server fails, and the mails are sent later."""

import time

from tests.support.process import LATER_SECONDS, slack, within
from tests.support.site import Site
from tests.support.smtp import FORWARD, MailServer
from tests.support.steps import CONFIRM, sign_up, sql

# Less than the ten seconds for which the site waits for a mail server.
QUICK_SECONDS = 8.0


def sign_up_quickly(site, name):
    browser, started = site.client(), time.monotonic()
    assert sign_up(browser, name).status == 302
    assert browser.get(CONFIRM).status == 200
    assert time.monotonic() - started < QUICK_SECONDS * slack()


def test_a_failing_mail_server_delays_no_page_and_loses_no_mail():
    """Withstands a failure."""
    tried = "SELECT 1 FROM accounts_outgoingmail WHERE attempts > 0"
    people = {"alice": "data", "bob": "down", "carol": "tarpit"}
    with MailServer() as server, Site(EMAIL_URL=server.url) as site:
        for number, (name, mode) in enumerate(people.items(), 1):
            server.mode = mode
            sign_up_quickly(site, name)
            assert within(LATER_SECONDS, lambda n=number: len(sql(site, tried)) == n), mode
            assert server.mails == []

        server.release()
        # Skips the 30 seconds until the next attempt, again and again: the first may still run.
        assert within(LATER_SECONDS, lambda: sql(site, FORWARD) or len(server.mails) == 3)
        for name in people:
            assert [mail for mail in server.mails if f"Hello {name}," in mail]

        assert within(LATER_SECONDS, lambda: not sql(site, "SELECT 1 FROM accounts_outgoingmail"))
        server.close()
        sign_up_quickly(site, "dave")
        assert sql(site, "SELECT count(*) FROM accounts_outgoingmail") == [(1,)]
        assert "dave@" not in site.log()

"""The mail server is away, silent or angry: pages answer at once, and the mail leaves later."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.smtp import MailServer
from tests.support.process import free_port
from tests.support.site import Site
from tests.support.steps import CONFIRM, sign_up, sql

# Less than the site waits for a mail server.
QUICK_SECONDS = 5.0
LATER_SECONDS = 30.0
FORWARD = "UPDATE accounts_outgoingmail SET due_at = '2020-01-01 00:00:00'"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def within(seconds: float, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


@pytest.mark.parametrize("mode", ["tarpit", "down", "data"])
def test_mail_server_in_trouble_keeps_nobody_waiting_and_loses_nothing(
    server: MailServer, mode: str
) -> None:
    server.mode = mode
    with Site(EMAIL_URL=server.url) as site:
        browser, started = site.client(), time.monotonic()
        assert sign_up(browser, "alice").status == 302
        assert browser.get(CONFIRM).status == 200
        assert time.monotonic() - started < QUICK_SECONDS
        assert within(
            LATER_SECONDS,
            lambda: sql(site, "SELECT attempts FROM accounts_outgoingmail WHERE attempts = 1"),
        )
        assert server.mails == []

        server.release()
        # The half minute until the next attempt, gone by; the server may be in the first yet.
        assert within(LATER_SECONDS, lambda: sql(site, FORWARD) or server.mails)

    assert all("Hello alice," in mail for mail in server.mails)


def test_mail_server_that_refuses_connections_keeps_nobody_waiting() -> None:
    with Site(EMAIL_URL=f"smtp+plain://127.0.0.1:{free_port()}") as site:
        browser, started = site.client(), time.monotonic()

        assert sign_up(browser, "alice").status == 302
        assert browser.get(CONFIRM).status == 200

        assert time.monotonic() - started < QUICK_SECONDS
        assert sql(site, "SELECT count(*) FROM accounts_outgoingmail") == [(1,)]
        assert "alice@" not in site.log()


def test_kill_9_between_commit_and_delivery_loses_no_mail(server: MailServer) -> None:
    server.mode = "tarpit"
    with Site(EMAIL_URL=server.url) as site:
        sign_up(site.client(), "alice")
        assert server.arrived.wait(LATER_SECONDS)
        site.kill()
        server.release()
        assert server.mails == []

        sql(site, FORWARD)  # the lease of the killed sender, run out
        site.start()

        assert within(LATER_SECONDS, lambda: server.mails)
        assert within(LATER_SECONDS, lambda: not sql(site, "SELECT 1 FROM accounts_outgoingmail"))
    assert len(server.mails) == 1

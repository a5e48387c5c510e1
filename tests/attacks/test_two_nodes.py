"""Two server processes: races over sign-ups, and what both must know of each other's requests."""

import os
import signal
import time
from functools import partial

import pytest

from accounts.throttle.limits import LOGIN_SUBSCRIBER
from tests.support.forward import CALLBACK, CHECK, WIKI
from tests.support.invitations import INVITE
from tests.support.nodes import AT_ONCE, browser_at, running, server_errors
from tests.support.process import slack
from tests.support.races import tabs_of, two_staff
from tests.support.recovery_races import LOCKDOWN, mailed
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import (
    CONFIRM,
    LOGIN,
    LOGOUT,
    PASSWORD,
    WRONG,
    code_in,
    join,
    link_in,
    same_browser,
    sign_up,
    sql,
)

# ``Retry-After`` of a site with no free hashing slot; the limits ask for longer waits.
BUSY_SECONDS = 3


def is_not_limited(answer):
    return answer.status != 429 or answer.headers["Retry-After"] == str(BUSY_SECONDS)


def guesses(nodes, n, *, login):
    """Guess ``n`` times at once, on each node in turn, from ``n`` IP addresses."""
    template = nodes[0].client()
    token = template.csrf(LOGIN)

    def guess(i):
        browser = same_browser(nodes[i % 2], template, X_Forwarded_For=f"192.0.2.{i}")
        return browser.post(LOGIN, {"login": login, "password": WRONG}, csrf=token)

    return together(n, guess)


@proves("V2.4.1")
def test_two_processes_together_allow_exactly_the_limit_with_and_without_redis(
    redis_server, postgres
):
    """Withstands a guesser.

    Redis is frozen for the second half; ``tests/throttle`` tests one that refuses.
    """
    redis_server.flush()
    with running(REDIS_URL=redis_server.url, DATABASE_URL=postgres.database()) as both:
        in_redis = guesses(both, 40, login="alice")
        assert redis_server.process
        os.kill(redis_server.process.pid, signal.SIGSTOP)
        try:
            in_database = guesses(both, 40, login="bob")
        finally:
            os.kill(redis_server.process.pid, signal.SIGCONT)

    for answers in (in_redis, in_database):
        assert server_errors(answers) == []
        assert sum(map(is_not_limited, answers)) == LOGIN_SUBSCRIBER.burst
        refused = [answer for answer in answers if answer.status == 429]
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)


def eight_sign_ups_of_one_name(nodes, name):
    """Only one of eight sign-ups gets the username; the others get an error."""
    browsers = [browser_at(nodes[i % 2], f"192.0.2.{i + 1}") for i in range(AT_ONCE)]

    answers = together(AT_ONCE, lambda i: sign_up(browsers[i], name, f"{name}{i}@example.org"))

    assert server_errors(answers) == []
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [302]
    rows = sql(nodes[0], "SELECT 1 FROM accounts_pendingsignup WHERE username = ?", name)
    assert len(rows) == 1
    nodes[0].wait_for_mail(to=f"{name}")
    assert len(nodes[0].mails(to=name)) == 1


def eight_names_for_one_email(nodes, name):
    """Eight users sign up with one email and confirm at once; only one gets the account."""
    browsers = [browser_at(nodes[i % 2], f"192.0.2.{i + 1}") for i in range(AT_ONCE)]
    address = f"{name}@example.org"
    links = []
    for i, browser in enumerate(browsers):
        assert sign_up(browser, f"{name}{i}", address).status == 302
        links.append(link_in(nodes[0].wait_for_mail(to=address, count=i + 1)))
    tokens = [browser.csrf(CONFIRM) for browser in browsers]

    def confirm(i):
        return browsers[i].post(links[i], {}, csrf=tokens[i])

    answers = together(AT_ONCE, confirm)

    assert server_errors(answers) == []
    users = sql(nodes[0], "SELECT username FROM accounts_user WHERE email = ?", address)
    assert len(users) == 1
    homes = [browser.get("/").status for browser in browsers]
    assert sorted(homes) == [200] + [302] * (AT_ONCE - 1)
    pending = "SELECT 1 FROM accounts_pendingsignup WHERE username LIKE ?"
    assert sql(nodes[0], pending, f"{name}%") == []
    assert len(sql(nodes[0], "SELECT 1 FROM accounts_user WHERE username LIKE ?", f"{name}%")) == 1


def sign_up_in_tabs(nodes, name):
    """Sign up; return the mail and one function for each tab that posts a form in it."""
    browser = browser_at(nodes[0], "192.0.2.1")
    assert sign_up(browser, name).status == 302
    mail = nodes[0].wait_for_mail(to=f"{name}@")
    token = browser.csrf(CONFIRM)
    return mail, [partial(copy.post, csrf=token) for copy in tabs_of(nodes, browser)]


def eight_confirmations_of_one_sign_up(nodes, name):
    """Eight tabs confirm by code and by link; one user and one session are made."""
    mail, tabs = sign_up_in_tabs(nodes, name)

    def confirm(i):
        if i < AT_ONCE / 2:
            return tabs[i](CONFIRM, {"code": code_in(mail)})
        return tabs[i](link_in(mail), {"password": PASSWORD})

    answers = together(AT_ONCE, confirm)

    assert server_errors(answers) == []
    assert len([answer for answer in answers if answer.location == "/"]) == 1
    assert len(sql(nodes[0], "SELECT 1 FROM accounts_user WHERE username = ?", name)) == 1


def confirming_while_mails_are_asked_for(nodes, name):
    """Confirming, resending and correcting at once causes no deadlock and at most one user."""
    mail, tabs = sign_up_in_tabs(nodes, name)
    acts = ({"code": code_in(mail)}, {"resend": "1"}, {"correct": "1", "email": f"{name}@new.org"})

    answers = together(AT_ONCE, lambda i: tabs[i](CONFIRM, acts[i % 3]))

    assert server_errors(answers) == []
    assert len(sql(nodes[0], "SELECT 1 FROM accounts_user WHERE username = ?", name)) <= 1


def eight_uses_of_one_invitation(nodes, name):
    """One of eight people with the link gets an account; the others learn that it was used."""
    address, people = f"{name}@invited.example", [f"{name}{i}" for i in range(AT_ONCE)]
    assert two_staff(nodes, name)[0].post(INVITE, {"email": address, "days": "7"}).status == 302
    link = mailed(nodes[0], address, "You’re invited", r"/accounts/invitation/[\w-]+/")
    browsers = [browser_at(nodes[i % 2], f"192.0.2.{i + 1}") for i in range(AT_ONCE)]
    tokens = [browser.csrf(link) for browser in browsers]

    def accept(i):
        data = {"username": people[i], "password1": PASSWORD}
        return browsers[i].post(link, data, csrf=tokens[i])

    answers = together(AT_ONCE, accept)

    assert sorted(answer.status for answer in answers) == [302] + [404] * (AT_ONCE - 1)
    (made,) = sql(nodes[0], "SELECT username FROM accounts_user WHERE email = ?", address)
    assert [browser.get("/").status for browser in browsers].index(200) == people.index(made[0])
    held = f"SELECT 1 FROM accounts_user WHERE username IN ({', '.join('?' * AT_ONCE)})"
    assert len(sql(nodes[0], held, *people)) == 1


RACES = [
    eight_sign_ups_of_one_name,
    eight_names_for_one_email,
    eight_confirmations_of_one_sign_up,
    confirming_while_mails_are_asked_for,
    eight_uses_of_one_invitation,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_sign_up_races_at_two_processes_have_one_outcome(nodes, race):
    """Withstands a race: one username."""
    race(nodes, race.__name__[6:].replace("_", "")[:20])


IN_CREW = (
    "INSERT INTO accounts_user_groups (user_id, group_id) SELECT u.id, g.id FROM accounts_user u"
)
ENDS = {
    "a sign-out": lambda node, browser: same_browser(node, browser).post(LOGOUT),
    "a lock": lambda node, browser: same_browser(node, browser).post(LOCKDOWN),
    "the loss of a group": lambda node, _browser: sql(node, "DELETE FROM accounts_user_groups"),
    "a disabled app": lambda node, _browser: sql(
        node, "UPDATE oauth_client SET disabled_at = '2026-01-01' WHERE id = ?", WIKI
    ),
}


def test_what_ends_access_to_an_app_at_one_process_ends_it_at_the_other_within_a_second(nodes):
    sql(nodes[0], "INSERT INTO auth_group (name) VALUES ('Crew')")
    nodes[0].manage(
        *("add_client", "Wiki", "--client-id", WIKI, "--public", "--first-party"),
        *("--group", "Crew", "--scope", "openid", "--redirect-uri", f"https://{WIKI}{CALLBACK}"),
    )
    for number, (name, end) in enumerate(ENDS.items()):
        browser, proxy = nodes[0].client(), nodes[0].client(X_Forwarded_Host=WIKI)
        join(nodes[0], browser, f"forward{number}")
        sql(nodes[0], f"{IN_CREW}, auth_group g WHERE username = 'forward{number}'")
        begun = proxy.get(proxy.get(CHECK).location.removeprefix(f"https://{WIKI}"))
        code = browser.get(begun.location.removeprefix(nodes[0].origin))
        assert proxy.get(code.location.removeprefix(f"https://{WIKI}")).status == 303
        assert [proxy.get(CHECK).status for _ in range(3)] == [200] * 3, name

        end(nodes[1], browser)
        began = time.monotonic()
        while proxy.get(CHECK).status == 200:
            assert time.monotonic() < began + 1 * slack(), name

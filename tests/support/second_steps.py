"""Steps that the tests of second factors share."""

from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.test import Client
from django.test import Client as Browser

from accounts.twofactor.models import Authenticator
from accounts.users.services import confirm_email
from tests.support.disputes import asks_to_wait, reset_link
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    enrolled,
    recovery_codes_on,
    set_up_authenticator,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in

REAUTHENTICATE = "/accounts/reauthenticate/"
RESET = "/accounts/password/reset/"
# Digits in the form of a code: they are the right ones with a chance of one in a million.
WRONG_DIGITS = "000000"


def with_factor(username: str = "alice", **fields: Any) -> tuple[Any, str]:
    """Create a user with an authenticator app and emailed codes; return the user and the seed."""
    user = make_user(username, **{"emailed_codes": True} | fields)
    return user, enrolled(user)


def after_password(login: str = "alice", browser: Browser | None = None, **where: Any) -> Browser:
    """Return a browser that has typed the right password, at the IP address ``REMOTE_ADDR``."""
    browser = browser or Browser(**where)
    assert sign_in(browser, login)["Location"] in {CHALLENGE, SETUP}
    assert not is_signed_in(browser)
    return browser


def code_signs_in(code: str, login: str = "alice", **where: Any) -> bool:
    """Return whether the password and ``code`` sign in, in a new browser."""
    browser = after_password(login, **where)
    browser.post(CHALLENGE, {"code": code})
    return is_signed_in(browser)


def new_recovery_codes(user: Any) -> list[str]:
    """Make a new set of recovery codes on the page and return the codes that it shows."""
    browser = signed_in(user)
    assert browser.post(RECOVERY_CODES, {"new": "1"}).status_code == 302
    user.refresh_from_db()
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    assert len(codes) == 10
    return codes


def mails_about(words: str, to: str = "") -> list[Any]:
    """Return the mails to ``to`` with ``words`` in the subject."""
    return [mail for mail in outbox() if words in mail.subject and to in mail.to]


def factors_of(user: Any) -> int:
    """Return how many authenticator apps the account has."""
    return Authenticator.objects.filter(user=user).count()


def reset_by_mail(user: Any) -> None:
    browser, link = Browser(), reset_link(user.username)
    browser.post(link, {"code": unused_code(user)})
    assert browser.post(link, {"password1": PASSWORD})["Location"].startswith(LOGIN)


def posting(path: str, **fields: str) -> Callable[[Any], Any]:
    return lambda user: signed_in(user).post(path, fields)


def another_primary_email(user: Any) -> None:
    """Make another email primary: this invalidates earlier proofs without sending a signal."""
    confirm_email(user, "second@example.org")
    signed_in(user).post("/accounts/email/", {"primary": user.emails.latest("pk").pk})


# Changes of an account's credentials by its owner or by the operator.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "another password": posting("/accounts/password/change/", password1=PASSWORD),
    "a reset by mail": reset_by_mail,
    "another authenticator": lambda user: set_up_authenticator(signed_in(user)),
    "new recovery codes": new_recovery_codes,
    "another primary email": another_primary_email,
    "a lockdown": posting("/accounts/lockdown/"),
    "a reset by the operator": lambda user: call_command("reset_second_factor", user.username),
}


ASKED = "remove your passkeys and authenticator apps"
HOURS = 72


def request_recovery(login: str = "alice") -> list[str]:
    """Request a recovery with the mailbox; return the paths of the mailed links.

    A mail server accepts the mails at once.
    """
    before = len(mails_about(ASKED))
    asks_to_wait(Client(), reset_link(login))
    return [path_of(mail.action_url) for mail in mails_about(ASKED)[before:]]


def finish_recovery(login: str = "alice") -> bool:
    """Try to end the waiting period with the mailbox; return whether the factors are gone."""
    Client().post(reset_link(login), {"lost": "finish"})
    return not Authenticator.objects.filter(user__username=login).exists()


NEW = "a lantern over seven wet roofs"


def opens(password: str, login: str = "alice") -> bool:
    """Return whether ``password`` passes the first step."""
    return sign_in(Client(), login, password).status_code == 302


TRUSTED = "/accounts/2fa/trusted/"
COOKIE = "trusted"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"


def browser(agent: str = FIREFOX) -> Client:
    return Client(headers={"user-agent": agent})


def trusting_browser(user: Any) -> Client:
    """Return a browser in which ``user`` has signed in and ticked the box to trust it."""
    here = browser()
    assert sign_in(here, user.username).url == CHALLENGE
    here.post(CHALLENGE, {"code": unused_code(user), "trust": "on"})
    assert is_signed_in(here)
    assert COOKIE in here.cookies
    return here


def with_cookie(value: str, agent: str = FIREFOX) -> Client:
    """Return a browser with this value in its cookie and no other cookies."""
    other = browser(agent)
    other.cookies[COOKIE] = value
    return other


def needs_second_step(here: Client, login: str = "alice") -> bool:
    """Return whether the second step is required after the password."""
    here.cookies.pop("sessionid", None)
    answer = sign_in(here, login)
    assert answer.status_code == 302
    assert is_signed_in(here) is (answer.url != CHALLENGE)
    return bool(answer.url == CHALLENGE)

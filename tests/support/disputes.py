"""Steps that the tests of locked accounts share."""

from itertools import cycle
from typing import Any

from django.test import Client

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.mail.models import MailReceipt
from accounts.recovery.locks import lock_down
from accounts.recovery.models import Recovery
from accounts.twofactor.models import Authenticator
from accounts.users.models import FormerCredential, User
from tests.support.second_factor import CHALLENGE, unused_code
from tests.support.signin import signed_in
from tests.support.steps import PASSWORD, is_signed_in, outbox, path_of, sign_in

LOCK = "/accounts/lockdown/"
RESET = "/accounts/password/reset/"
REVIEW = "/accounts/review/"
EMAIL = "/accounts/email/"
NETWORKS = cycle(range(1, 255))
NEW = "a lantern over seven wet roofs"
MINE, THIEFS = "alice@example.org", "thief@example.net"


def known_browser(user: User) -> Client:
    """Return a browser in which ``user`` has signed in and out."""
    browser = signed_in(user)
    browser.post("/accounts/logout/")
    return browser


def reset_link(login: str = "alice", to: str = "") -> str:
    """Request a password reset from a new network; return the path of the mailed link.

    If ``to`` is given, the email ``to`` is typed in and must get the mail.
    """
    asking = Client(REMOTE_ADDR=f"198.51.{next(NETWORKS)}.1")
    assert asking.post(RESET, {"login": to or login}).status_code == 200
    mail = next(m for m in reversed(outbox()) if "Set a new password for" in m.subject)
    assert not to or mail.to == to, mail.to
    return path_of(mail.action_url)


def sets_password(browser: Client, link: str, **fields: str) -> bool:
    """Return whether the reset page accepts a new password."""
    answer = browser.post(link, {"password1": NEW, **fields})
    return answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")


def opens(browser: Client, link: str, former: str = PASSWORD) -> bool:
    """Show the former password beside the mailbox; return whether a new password is accepted."""
    browser.post(link, {"former": former})
    return sets_password(browser, link)


def asks_to_wait(browser: Client, link: str) -> bool:
    """Begin the wait, and let a mail server accept the notices; return whether it has begun."""
    answer = browser.post(link, {"lost": "ask"})
    accept_notices()
    return answer.status_code == 302


def accept_notices() -> None:
    """Do what happens when a mail server accepts the notices of the requests."""
    for row in Recovery.objects.all():
        for mail_id in row.mails:
            MailReceipt.objects.get_or_create(pk=mail_id, defaults={"created_at": clock.now()})


def lock_link(words: str, to: str = "alice@example.org") -> str:
    """Return the path of the lock link in the newest mail with ``words`` in its subject."""
    mails = [m for m in outbox() if m.to == to and words in m.subject and LOCK in m.action_url]
    return path_of(mails[-1].action_url)


def review(browser: Client, act: str, label: str) -> Any:
    """Answer a row of the review page: ``act`` is ``keep`` or ``delete``."""
    row = FormerCredential.objects.get(label=label)
    return browser.post(REVIEW, {act: str(row.pk)})


def recipients_of(words: str) -> set[str]:
    """Return the emails that got a mail with ``words`` in its subject."""
    return {mail.to for mail in outbox() if words in mail.subject}


def text_of(mail: Any) -> str:
    """Return the whole text of a mail."""
    return mail.to_json()


def alice() -> User:
    return User.objects.get(username="alice")


def recovery_page(browser: Client | None = None) -> tuple[Client, str]:
    """Sign in to alice's locked account; return the browser and the recovery page's path."""
    browser = browser or Client()
    return browser, browser.get(sign_in(browser, "alice").url)["Location"]


def reloaded(user: User) -> User:
    return User.objects.get(pk=user.pk)


def lock(user: User) -> None:
    lock_down(reloaded(user), Actor())


def reopened(browser: Client, user: User) -> Client:
    """Reset the password of a locked account in ``browser`` and sign in with the new one."""
    assert opens(browser, reset_link(user.username))
    sign_in(browser, user.username, NEW)
    if Authenticator.objects.filter(user=user).exists():
        browser.post(CHALLENGE, {"code": unused_code(user)})
    assert is_signed_in(browser)
    return browser

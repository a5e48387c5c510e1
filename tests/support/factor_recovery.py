"""Steps that the tests of the waiting period for lost second factors share."""

from django.test import Client

from tests.support.second_factor import CHALLENGE
from tests.support.second_steps import after_password, mails_about
from tests.support.steps import is_signed_in, path_of, sign_in

ASKED = "remove your second factors"
HOURS = 72


def request_recovery(login: str = "alice") -> list[str]:
    """Request a recovery with the password only; return the paths of the mailed links."""
    before = len(mails_about(ASKED))
    after_password(login).post(CHALLENGE, {"lost": "ask"})
    return [path_of(mail.action_url) for mail in mails_about(ASKED)[before:]]


def finish_recovery(login: str = "alice") -> bool:
    """Try to end the waiting period; return whether the browser is signed in."""
    browser = after_password(login)
    browser.post(CHALLENGE, {"lost": "finish"})
    return is_signed_in(browser)


NEW = "a lantern over seven wet roofs"


def opens(password: str, login: str = "alice") -> bool:
    """Return whether ``password`` passes the first step."""
    return sign_in(Client(), login, password).status_code == 302

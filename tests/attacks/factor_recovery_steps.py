"""Steps that the tests of the waiting period for lost second factors share."""

from tests.attacks.second_steps import after_password, mails_about
from tests.support.second_factor import CHALLENGE
from tests.support.steps import is_signed_in, path_of

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

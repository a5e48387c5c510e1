"""Steps that the attacks on second factors share."""

from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.test import Client as Browser

from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    enrolled,
    recovery_codes_on,
    turn_on,
    unused_code,
)
from tests.support.signin import signed_in
from tests.support.steps import LOGIN, PASSWORD, is_signed_in, make_user, outbox, path_of, sign_in

REAUTHENTICATE = "/accounts/reauthenticate/"
RESET = "/accounts/password/reset/"
# Six digits that the page takes for a code; what is right is never all the same digit here.
WRONG_DIGITS = "000000"


def with_factor(username: str = "alice", **fields: Any) -> tuple[Any, str]:
    """Somebody with an authenticator, and its seed."""
    user = make_user(username, **fields)
    return user, enrolled(user)


def staff() -> Any:
    """Somebody who must have a factor, and has none."""
    return make_user("carol", is_staff=True, is_superuser=True)


def after_password(login: str = "alice", browser: Browser | None = None, **place: str) -> Browser:
    """A browser whose first step, by password, was right; ``REMOTE_ADDR="…"`` says where."""
    browser = browser or Browser(**place)  # type: ignore[arg-type]
    assert sign_in(browser, login)["Location"] in {CHALLENGE, SETUP}
    assert not is_signed_in(browser)
    return browser


def code_signs_in(code: str, login: str = "alice", **place: str) -> bool:
    """Whether somebody who knows the password gets in by ``code``, in a new browser."""
    browser = after_password(login, **place)
    browser.post(CHALLENGE, {"code": code})
    return is_signed_in(browser)


def new_recovery_codes(user: Any) -> list[str]:
    """What the page shows that makes a new set."""
    browser = signed_in(user)
    assert browser.post(RECOVERY_CODES, {"new": "1"}).status_code == 302
    user.refresh_from_db()
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    assert len(codes) == 10
    return codes


def mails_about(words: str, to: str = "") -> list[Any]:
    """The mails that wait with these words in the subject."""
    return [mail for mail in outbox() if words in mail.subject and to in mail.to]


def factors_of(user: Any) -> int:
    """How many authenticators there are."""
    from accounts.twofactor.models import Authenticator

    return Authenticator.objects.filter(user=user).count()


def reset_link(login: str = "alice") -> str:
    """The link to set a new password that was mailed."""
    assert Browser().post(RESET, {"login": login}).status_code == 200
    return path_of(mails_about("Set a new password")[-1].action_url)


def reset_by_mail(user: Any) -> None:
    browser, link = Browser(), reset_link(user.username)
    browser.post(link, {"code": unused_code(user)})
    assert browser.post(link, {"password1": PASSWORD})["Location"].startswith(LOGIN)


def posting(path: str, **fields: str) -> Callable[[Any], Any]:
    return lambda user: signed_in(user).post(path, fields)


def another_primary_email(user: Any) -> None:
    """Which outdates what was proved without the signal that other changes send."""
    from accounts.users.services import confirm_email

    confirm_email(user, "second@example.org")
    signed_in(user).post("/accounts/email/", {"primary": user.emails.latest("pk").pk})


# What the owner, or the operator, may do to the credentials of an account meanwhile.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "another password": posting("/accounts/password/change/", password1=PASSWORD),
    "a reset by mail": reset_by_mail,
    "another authenticator": lambda user: turn_on(signed_in(user)),
    "new recovery codes": new_recovery_codes,
    "another primary email": another_primary_email,
    "a lockdown": posting("/accounts/lockdown/"),
    "a reset by the operator": lambda user: call_command("reset_second_factor", user.username),
}

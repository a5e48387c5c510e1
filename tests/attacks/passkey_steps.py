"""Steps that the attacks on passkeys share."""

import dataclasses
from typing import Any

from django.test import Client as Browser

from tests.support.second import CHALLENGE
from tests.support.steps import LOGIN, is_signed_in, make_user, sign_in
from tests.support.webauthn import LOGIN_PASSKEY, Passkey, options_on, registered

REAUTHENTICATE = "/accounts/reauthenticate/"


def set_up(settings: Any, **changes: Any) -> None:
    settings.AUTHSITE = dataclasses.replace(settings.AUTHSITE, **changes)


def person(username: str = "alice", **fields: Any) -> Any:
    """Somebody as the database has them."""
    from accounts.users.models import User

    return User.objects.get(pk=make_user(username, **fields).pk)


def owner(username: str = "alice", **fields: Any) -> tuple[Any, Passkey]:
    """Somebody with a passkey, and the passkey; ``counts=True`` for a security key."""
    counts = fields.pop("counts", False)
    user = person(username, **fields)
    return user, registered(user, counts=counts)


def options_of(browser: Browser, page: str = LOGIN) -> dict[str, Any]:
    """What the page asks authenticators for."""
    return options_on(browser.get(page).text)


def post_credential(
    browser: Browser, credential: str, page: str = LOGIN_PASSKEY, **more: str
) -> Any:
    """Send what an authenticator has answered."""
    return browser.post(page, {"credential": credential, **more})


def signs_in(passkey: Passkey, browser: Browser | None = None, **changes: Any) -> bool:
    """Whether ``passkey`` alone signs in; ``changes`` are of its answer."""
    browser = browser or Browser()
    post_credential(browser, passkey.get(options_of(browser), **changes))
    return is_signed_in(browser)


def after_password(login: str = "alice") -> Browser:
    """A browser whose first step, by password, was right."""
    browser = Browser()
    assert sign_in(browser, login)["Location"] == CHALLENGE
    assert not is_signed_in(browser)
    return browser


def completes_sign_in(browser: Browser, credential: str) -> bool:
    """Whether that is taken for the second step of a browser that is half way."""
    post_credential(browser, credential, CHALLENGE)
    return is_signed_in(browser)


def times_in_history(user: Any, kind: str) -> int:
    """How often that is in the history of ``user``."""
    from accounts.activity.models import Activity

    return Activity.objects.filter(user=user, kind=kind).count()


def passkeys_of(user: Any) -> list[str]:
    """The credential ids that the account has."""
    from accounts.twofactor.models import Passkey as Row

    return [row.credential_id for row in Row.objects.filter(user=user).order_by("pk")]

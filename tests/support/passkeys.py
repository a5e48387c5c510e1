"""Steps that the tests of passkeys share."""

from typing import Any

from django.test import Client as Browser

from accounts.activity.models import Activity
from accounts.twofactor.models import Passkey as Row
from accounts.users.models import User
from tests.support.second_factor import CHALLENGE
from tests.support.steps import LOGIN, is_signed_in, make_user
from tests.support.webauthn import ADD, LOGIN_PASSKEY, Passkey, options_on, registered

REAUTHENTICATE = "/accounts/reauthenticate/"


def person(username: str = "alice", **fields: Any) -> Any:
    """Create a user and read it back from the database."""
    return User.objects.get(pk=make_user(username, **fields).pk)


def owner(username: str = "alice", **fields: Any) -> tuple[Any, Passkey]:
    """Create a user with a passkey; with ``counts=True``, it is a security key with a counter."""
    counts = fields.pop("counts", False)
    user = person(username, **fields)
    return user, registered(user, counts=counts)


def options_of(browser: Browser, page: str = LOGIN) -> dict[str, Any]:
    """Return the WebAuthn request options on the page."""
    return options_on(browser.get(page).text)


def post_credential(
    browser: Browser, credential: str, page: str = LOGIN_PASSKEY, **more: str
) -> Any:
    """Post an authenticator's answer."""
    return browser.post(page, {"credential": credential, **more})


def add_passkey(browser: Browser, passkey: Passkey | None = None, **changes: Any) -> Any:
    """Add ``passkey``, or a new one, on its page; ``changes`` alter the registration."""
    made = (passkey or Passkey()).create(options_of(browser, ADD), **changes)
    return post_credential(browser, made, ADD)


def signs_in(passkey: Passkey, browser: Browser | None = None, **changes: Any) -> bool:
    """Return whether ``passkey`` alone signs in; ``changes`` alter its answer."""
    browser = browser or Browser()
    post_credential(browser, passkey.get(options_of(browser), **changes))
    return is_signed_in(browser)


def completes_sign_in(browser: Browser, credential: str) -> bool:
    """Return whether ``credential`` is accepted as the second step."""
    post_credential(browser, credential, CHALLENGE)
    return is_signed_in(browser)


def times_in_history(user: Any, kind: str) -> int:
    """Return how many events of this kind the history of ``user`` has."""
    return Activity.objects.filter(user=user, kind=kind).count()


def passkeys_of(user: Any) -> list[str]:
    """Return the credential ids of the account's passkeys."""
    return [row.credential_id for row in Row.objects.filter(user=user).order_by("pk")]

"""Steps that the tests of elevation share."""

from typing import Any

from django.test import Client

from accounts.users.models import User
from tests.administration.steps import REASON, member
from tests.support.signin import signed_in
from tests.support.webauthn import Passkey, options_on, registered

TAKE, END = "/admin/superuser/", "/admin/superuser/end/"


def superuser(username: str = "carol") -> tuple[Client, Passkey]:
    """Return the browser of a signed-in superuser, and the superuser's passkey."""
    user = member(username, "Superuser")
    passkey = registered(user)
    return signed_in(User.objects.get(pk=user.pk)), passkey


def take(browser: Client, passkey: Passkey, reason: str = REASON, **more: str) -> Any:
    """Take superuser rights."""
    credential = passkey.get(options_on(browser.get(TAKE).text))
    return browser.post(TAKE, {"reason": reason, "credential": credential, **more})


def elevated(username: str = "carol") -> Client:
    """Return the browser of a superuser who has just taken superuser rights."""
    browser, passkey = superuser(username)
    assert take(browser, passkey).status_code == 302
    return browser


def has_superuser_rights(browser: Client) -> bool:
    """Return whether the browser may add a group, as no manager may."""
    status: int = browser.get("/admin/auth/group/").status_code
    assert status in {200, 403}
    return status == 200

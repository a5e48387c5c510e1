"""Accounts that have used every feature, for the database of a release; made in process.

What the people keep (passwords, seeds, cookies, tokens) is returned. Their emails still wait.
"""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import Client as Browser
from django.test.utils import setup_test_environment

from accounts.common import clock
from accounts.users.models import Identity, User
from tests.support import webauthn
from tests.support.administration import act
from tests.support.api import call, get_tokens, second_step
from tests.support.authorize import allow, begin, result
from tests.support.devices import new_device
from tests.support.disputes import asks_to_wait, lock, reset_link
from tests.support.invitations import invite
from tests.support.oauth_client import EVERYTHING, new_app
from tests.support.second_factor import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    enrolled,
    recovery_codes_on,
    seed_on,
)
from tests.support.signin import signed_in
from tests.support.steps import make_staff, make_user, sign_in, sign_up

ISSUER = "https://accounts.google.com"


def make() -> dict[str, Any]:
    """Use every feature once; return what the people need to go on, and ``at``, the time."""
    setup_test_environment()
    return {
        "alice": alice(),
        "locked": locked(),
        "waiting": waiting(),
        "carol": carol(),
        "app": app(),
        "device": device(),
        "at": clock.now().isoformat(),
    }


def alice() -> dict[str, Any]:
    """Let alice use each kind of proof, session, token and key."""
    user = make_user("alice", about="Gardens", language="de")
    browser = signed_in(user)
    seed = seed_on(browser.get(SETUP).text)
    browser.post(SETUP, {"code": code_of(seed, -1), "name": "Phone"})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    browser.post(RECOVERY_CODES, {"code": codes[0]})
    passkey = webauthn.Passkey()
    options = webauthn.options_on(browser.get(webauthn.ADD).text)
    browser.post(webauthn.ADD, {"credential": passkey.create(options), "name": "Laptop"})
    browser.post("/accounts/profile/", {"username": "alice.b"})
    browser.post("/accounts/email/", {"email": "alice@second.example"})
    Identity.objects.create(user=user, issuer=ISSUER, subject="1", label="Alice")
    trusting = Browser()
    sign_in(trusting, "alice.b")
    trusting.post(CHALLENGE, {"code": code_of(seed), "trust": "on"})
    tokens = second_step(get_tokens("alice.b")["challenge"], codes[1]).body
    key = call("keys/", {"name": "robot", "scope": "profile:read"}, token=tokens["access"])
    pem = passkey.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "seed": seed,
        "codes": codes[2:],
        "passkey": {"id": passkey.id, "key": pem.decode()},
        "browser": cookies_of(browser),
        "trusting": cookies_of(trusting),
        "tokens": {name: tokens[name] for name in ("access", "refresh")},
        "key": key["key"],
        "challenge": get_tokens("alice.b")["challenge"],
    }


def locked() -> dict[str, str]:
    """Lock an account with a second factor."""
    user = make_user("locked")
    seed = enrolled(user)
    lock(user)
    return {"seed": seed}


def waiting() -> dict[str, str]:
    """Ask to remove a lost second factor, and let a mail server accept the notices."""
    enrolled(make_user("waiting"))
    assert asks_to_wait(Browser(), reset_link("waiting"))
    return {}


def carol() -> dict[str, str]:
    """Let staff invite somebody and act on an account; somebody else is signing up."""
    make_staff("carol", has_factor=False)
    user = User.objects.get(username="carol")
    seed = enrolled(user)
    browser = signed_in(user)
    assert invite(browser, "invited").status_code == 302
    assert act(browser, make_user("bob"), "send-reset").status_code == 302
    sign_up(Browser(), "pending")
    return {"seed": seed}


def app() -> dict[str, str]:
    """Let carol agree to lasting access of an app."""
    paperless = new_app()
    browser = signed_in(User.objects.get(username="carol"))
    page = begin(browser, paperless.client, scope=EVERYTHING)
    tokens = paperless.redeem(result(allow(browser, page))["code"]).body
    return {"id": paperless.client.pk, "secret": paperless.secret, **tokens}


def device() -> dict[str, str]:
    """Let a device ask for a code that nobody has typed yet."""
    terminal, codes = new_device()
    return {"id": terminal.client.pk, **codes.body}


def cookies_of(browser: Browser) -> dict[str, str]:
    return {name: morsel.value for name, morsel in browser.cookies.items() if morsel.value}

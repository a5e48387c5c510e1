"""Selects the rate limits for attempts to show a second factor.

A browser in which a factor was shown before has its own limits. Attempts in other browsers do not
use them up. A six-digit code that is entered in a session counts against the limits of the session
and against those of the account or browser. Otherwise a thief with a stolen session would have
additional guesses.
"""

from accounts.activity.services import Actor
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.sessions import known_browsers
from accounts.sessions.models import KnownBrowser
from accounts.throttle.limits import (
    CODE_BROWSER,
    CODE_NETWORK,
    FACTOR_ACCOUNT,
    FACTOR_BROWSER,
    FACTOR_BROWSER_DAY,
    FACTOR_LINE,
    FACTOR_LINE_DAY,
    PASSKEY_BROWSER,
    PASSKEY_NETWORK,
    PROOF_SESSION,
)
from accounts.throttle.services import Charge, around
from accounts.users.models import User


def of_passkey(owner: User | None, actor: Actor) -> list[Charge]:
    """Return the rate-limit charges for verifying the response of a passkey.

    ``owner`` is the owner of the passkey, or None if the passkey is unknown.
    """
    if actor.session:
        return [(PROOF_SESSION, actor.session)]
    client = actor.client or NO_CLIENT
    if browser := known_browsers.find(client, owner):
        return [(PASSKEY_BROWSER, browser.user_id, browser.pk)]
    return around(PASSKEY_NETWORK, client)


def of_code(browser: KnownBrowser | None, actor: Actor) -> list[Charge]:
    """Return the rate limits that an attempt to enter a code counts against."""
    if actor.session:
        return [(PROOF_SESSION, actor.session)]
    if browser:
        return [(CODE_BROWSER, browser.user_id, browser.pk)]
    return around(CODE_NETWORK, actor.client or NO_CLIENT)


def of_guess(user: User, browser: KnownBrowser | None, client: ClientInfo) -> list[Charge]:
    """Return the additional rate-limit charges for a six-digit code, which can be guessed.

    ``browser`` is a browser in which a factor was shown before, or None. Such a browser has its own
    limits, so that guesses elsewhere do not lock the owner out.
    """
    if browser:
        subject = user.pk, browser.pk
        return [(FACTOR_BROWSER, *subject), (FACTOR_BROWSER_DAY, *subject)]
    of_line = user.pk, client.wide_network
    return [(FACTOR_LINE, *of_line), (FACTOR_LINE_DAY, *of_line), (FACTOR_ACCOUNT, user.pk)]

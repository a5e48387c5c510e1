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
    CODE_GUESS,
    FACTOR_ACCOUNT,
    FACTOR_BROWSER_DAY,
    FACTOR_LINE,
    FACTOR_LINE_DAY,
    PROOF_SESSION,
    UNGUESSABLE,
    Budget,
)
from accounts.throttle.services import around
from accounts.users.models import User


def of_passkey(owner: User | None, actor: Actor) -> list[Budget]:
    """Return the budgets for verifying the response of a passkey.

    ``owner`` is the owner of the passkey, or None if the passkey is unknown.
    """
    if actor.session:
        return [PROOF_SESSION.of(actor.session)]
    client = actor.client or NO_CLIENT
    if browser := known_browsers.find(client, owner):
        return [UNGUESSABLE.of("passkey", browser.user_id, browser.pk)]
    return around(UNGUESSABLE, client, "passkey")


def of_code(browser: KnownBrowser | None, actor: Actor) -> list[Budget]:
    """Return the budgets that an attempt to enter a code spends."""
    if actor.session:
        return [PROOF_SESSION.of(actor.session)]
    if browser:
        return [CODE_GUESS.of(browser.user_id, browser.pk)]
    return around(CODE_GUESS, actor.client or NO_CLIENT)


def of_guess(user: User, browser: KnownBrowser | None, client: ClientInfo) -> list[Budget]:
    """Return the additional budgets for a six-digit code, which can be guessed.

    ``browser`` is a browser in which a factor was shown before, or None. Such a browser has its own
    limits, so that guesses elsewhere do not lock the owner out.
    """
    if browser:
        return [limit.of(user.pk, browser.pk) for limit in (FACTOR_LINE, FACTOR_BROWSER_DAY)]
    of_line = [limit.of(user.pk, client.wide_network) for limit in (FACTOR_LINE, FACTOR_LINE_DAY)]
    return [*of_line, FACTOR_ACCOUNT.of(user.pk)]

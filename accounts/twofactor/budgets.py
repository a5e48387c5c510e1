"""What a try of a second factor costs, and whose budgets those are.

In a browser in which a factor was shown, only budgets are spent that others can't use. A session
alone spends the budgets of the account, too: otherwise a stolen one would have guesses of its own.
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
    """Return what an answer of a passkey costs; ``owner`` is None if the passkey is unknown."""
    if actor.session:
        return [(PROOF_SESSION, actor.session)]
    client = actor.client or NO_CLIENT
    if browser := known_browsers.find(client, owner):
        return [(PASSKEY_BROWSER, browser.user_id, browser.pk)]
    return around(PASSKEY_NETWORK, client)


def of_code(browser: KnownBrowser | None, actor: Actor) -> list[Charge]:
    """Return what a code of any kind costs."""
    if actor.session:
        return [(PROOF_SESSION, actor.session)]
    if browser:
        return [(CODE_BROWSER, browser.user_id, browser.pk)]
    return around(CODE_NETWORK, actor.client or NO_CLIENT)


def of_guess(user: User, browser: KnownBrowser | None, client: ClientInfo) -> list[Charge]:
    """Return what a six-digit code costs the account besides.

    ``browser`` is one in which a factor was shown. It has budgets of its own, so that guesses
    elsewhere do not keep the owner out.
    """
    if browser:
        subject = user.pk, browser.pk
        return [(FACTOR_BROWSER, *subject), (FACTOR_BROWSER_DAY, *subject)]
    of_line = user.pk, client.wide_network
    return [(FACTOR_LINE, *of_line), (FACTOR_LINE_DAY, *of_line), (FACTOR_ACCOUNT, user.pk)]

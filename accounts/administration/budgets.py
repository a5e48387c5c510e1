"""Lists the rate limits that can stop a user from signing in, by way of signing in and by place.

The limits are defined by the services that use them. This module counts nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.activity.services import Actor
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.sessions import known_browsers
from accounts.sessions.models import KnownBrowser
from accounts.signin import mailed_codes, second_step, services
from accounts.throttle import services as throttle
from accounts.throttle.limits import (
    CODE_GUESS,
    LOGIN_EVERYONE,
    LOGIN_NETWORK,
    REQUEST_EVERYONE,
    REQUEST_NETWORK,
    UNGUESSABLE,
    Budget,
    Kind,
)
from accounts.twofactor import verification
from accounts.users.models import PendingSignup, User

# Limits whose budgets are shared with other people, so staff cannot reset them.
SHARED = {
    *(LOGIN_EVERYONE.name, LOGIN_NETWORK.name, CODE_GUESS.name),
    *(REQUEST_EVERYONE.name, REQUEST_NETWORK.name, UNGUESSABLE.name),
}


class Where(Enum):
    """Where a limit counts attempts together."""

    SITE = "site"
    NETWORK = "network"
    ACCOUNT = "account"
    LINE = "line"
    BROWSER = "browser"


@dataclass(frozen=True)
class Refusal:
    """What staff read while a limit refuses attempts: a code for programs, and two sentences."""

    code: str
    sentence: str | Promise
    advice: str | Promise


_KNOWN = _("Browsers that the account knows aren’t affected.")
_ELSEWHERE = _("Other networks aren’t affected, and neither are browsers that the account knows.")
_OTHER_BROWSERS = _("Other browsers aren’t affected.")
_IN_NETWORK = Refusal(
    "network_used_up",
    _("There were too many attempts, so nobody can sign in from %(place)s in a new browser."),
    _ELSEWHERE,
)
_ON_LINE = Refusal(
    "network_attempts_used_up",
    _("There were too many attempts, so nobody can sign in as %(name)s from %(place)s."),
    _ELSEWHERE,
)
_IN_BROWSER = Refusal(
    "browser_attempts_used_up",
    _("%(name)s can’t sign in with one of their browsers (%(place)s) after too many attempts."),
    _OTHER_BROWSERS,
)
REFUSALS = {
    (Where.SITE, Kind.PASSWORDS): Refusal(
        "site_used_up",
        _("Too many sign-ins fail on the whole site, so people in new browsers must wait."),
        _KNOWN,
    ),
    (Where.SITE, Kind.MAILS): Refusal(
        "site_mails_used_up", _("Too many emails are requested on the whole site."), _KNOWN
    ),
    (Where.NETWORK, Kind.PASSWORDS): _IN_NETWORK,
    (Where.NETWORK, Kind.CODES): _IN_NETWORK,
    (Where.NETWORK, Kind.MAILS): Refusal(
        "network_requests_used_up",
        _("Nobody can request emails from %(place)s in a new browser for now."),
        _ELSEWHERE,
    ),
    (Where.ACCOUNT, Kind.PASSWORDS): Refusal(
        "attempts_used_up",
        _("%(name)s can’t sign in because too many wrong passwords were typed."),
        _(
            "This may be an attack. While it lasts, even the right password is refused. "
            "Passkeys still work, and so do passwords in a browser that the account knows."
        ),
    ),
    (Where.ACCOUNT, Kind.CODES): Refusal(
        "codes_used_up",
        _("%(name)s can’t sign in because too many wrong codes were typed."),
        _("Someone knows the password and is guessing codes. Passkeys still work."),
    ),
    (Where.ACCOUNT, Kind.MAILS): Refusal(
        "mails_used_up",
        _("No more emails with codes or links go to %(name)s: too many were requested."),
        _("Browsers that the account knows can still request them, and you can send them."),
    ),
    (Where.LINE, Kind.PASSWORDS): _ON_LINE,
    (Where.LINE, Kind.CODES): _ON_LINE,
    (Where.LINE, Kind.MAILS): Refusal(
        "network_mails_used_up",
        _("Nobody can request more emails for %(name)s from %(place)s."),
        _ELSEWHERE,
    ),
    (Where.BROWSER, Kind.PASSWORDS): _IN_BROWSER,
    (Where.BROWSER, Kind.CODES): _IN_BROWSER,
    (Where.BROWSER, Kind.MAILS): Refusal(
        "browser_mails_used_up",
        _("No more emails can be requested for %(name)s in one of their browsers (%(place)s)."),
        _OTHER_BROWSERS,
    ),
}


@dataclass(frozen=True)
class Use:
    """The rate limits that count attempts of one kind at one place.

    ``place``: the network or the browser of the attempts; empty if attempts from everywhere count.
    ``is_own``: whether only attempts on this account count, so that staff can reset the limit.
    """

    kind: Kind
    where: Where
    budgets: list[Budget]
    place: str = ""

    @property
    def is_own(self) -> bool:
        return self.where not in {Where.SITE, Where.NETWORK}


def uses_of(user: User, logins: list[str], clients: Iterable[ClientInfo]) -> Iterator[Use]:
    """Return the budgets that attempts to sign in to the account of ``user`` use.

    ``logins``: the canonical forms of the username and of every email address of ``user``.
    ``clients``: the clients whose networks and browsers are considered.
    """
    for client in (NO_CLIENT, *clients):
        for kind, used in _in_unknown_browser(user, logins, client).items():
            yield from _by_place(kind, used, client)
    for browser in known_browsers.of(user):
        for kind, used in _in_known_browser(user, browser).items():
            yield Use(kind, Where.BROWSER, used, str(browser))


def uses_of_signup(signup: PendingSignup) -> Iterator[Use]:
    """Return the budgets, not limited to a network, that emails to confirm ``signup`` use."""
    return _by_place(Kind.MAILS, throttle.of_mailbox(signup.email_key, NO_CLIENT), NO_CLIENT)


def _in_unknown_browser(
    user: User, logins: list[str], client: ClientInfo
) -> dict[Kind, list[Budget]]:
    unguessable = verification.of_passkey(None, Actor(client))
    codes = [*verification.of_code(None, Actor(client)), *verification.of_guess(user, None, client)]
    mails = [budget for login in logins for budget in mailed_codes.budgets_of_mail(login, client)]
    return {
        Kind.PASSWORDS: [*services.budgets_of_password(user, client, logins), *unguessable],
        Kind.CODES: codes,
        Kind.MAILS: [*mails, *second_step.budgets_of_mail(user, None, client)],
    }


def _in_known_browser(user: User, browser: KnownBrowser) -> dict[Kind, list[Budget]]:
    guess = verification.of_guess(user, browser, NO_CLIENT)
    return {
        Kind.PASSWORDS: services.budgets_of_browser(browser),
        Kind.CODES: [*verification.of_code(browser, Actor()), *guess],
        Kind.MAILS: second_step.budgets_of_mail(user, browser, NO_CLIENT),
    }


def _by_place(kind: Kind, used: Iterable[Budget], client: ClientInfo) -> Iterator[Use]:
    """Return the budgets of the network of ``client``; without a client, all others."""
    for where, is_shared, is_everywhere in (
        (Where.SITE, True, True),
        (Where.ACCOUNT, False, True),
        (Where.NETWORK, True, False),
        (Where.LINE, False, False),
    ):
        if is_everywhere is (client is NO_CLIENT):
            here = [
                budget
                for budget in used
                if (budget.limit.name in SHARED) is is_shared
                and budget.limit.is_shared is is_everywhere
            ]
            if here:
                yield Use(kind, where, here, client.ip)

"""Resets the rate limits that keep a user from signing in."""

from accounts.activity.services import Actor, last_failures
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.sessions import known_browsers
from accounts.signin.services import budgets_of_password, logins_of
from accounts.throttle import services as throttle
from accounts.throttle.limits import LOGIN_EVERYONE, LOGIN_LINE, LOGIN_NETWORK, Budget
from accounts.twofactor import budgets
from accounts.users.models import User

# Other people share these budgets, so they stay.
SHARED = {LOGIN_EVERYONE.name, LOGIN_NETWORK.name}


def are_used(user: User) -> bool:
    """Return whether an attempt to sign in to the account of ``user`` has been counted."""
    return throttle.are_used(*_budgets(user))


def clear(user: User) -> None:
    """Fill every budget of the account of ``user``.

    The budgets of the networks and browsers of the last failed attempts are filled, too, as far as
    they count attempts on this account only.
    """
    throttle.fill(*_budgets(user))


def _budgets(user: User) -> list[Budget]:
    logins = logins_of(user)
    clients = {ip: ClientInfo(ip, "") for ip in ("", *(row.ip for row in last_failures(user)))}
    found = [
        budget
        for client in clients.values()
        for budget in (
            *budgets_of_password(user, client, logins),
            *budgets.of_guess(user, None, client),
        )
    ]
    for browser in known_browsers.of(user):
        found += [LOGIN_LINE.of(user.pk, browser.pk), *budgets.of_code(browser, Actor())]
        found += budgets.of_guess(user, browser, NO_CLIENT)
    return [budget for budget in found if budget.limit.name not in SHARED]

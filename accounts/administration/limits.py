"""Resets the rate limits that keep a user from signing in."""

from accounts.activity import services as activity
from accounts.activity.kinds import Group
from accounts.activity.services import Actor
from accounts.common.client_info import NO_CLIENT, ClientInfo
from accounts.sessions.models import KnownBrowser
from accounts.signin.services import charges_of_password
from accounts.throttle import services as throttle
from accounts.throttle.limits import LOGIN_BROWSER, LOGIN_EVERYONE, LOGIN_NETWORK
from accounts.throttle.services import Charge
from accounts.twofactor import budgets
from accounts.users.models import User

# How many failed attempts are read to find the networks whose limits may be used up.
ATTEMPTS = 20
# Other people share these budgets, so they stay.
SHARED = {LOGIN_EVERYONE.name, LOGIN_NETWORK.name}


def are_used(user: User) -> bool:
    """Return whether an attempt to sign in to the account of ``user`` has been counted."""
    return throttle.are_used(*_charges(user))


def clear(user: User) -> None:
    """Fill every budget of the account of ``user``.

    The budgets of the networks and browsers of the last failed attempts are filled, too, as far as
    they count attempts on this account only.
    """
    throttle.fill(*_charges(user))


def _charges(user: User) -> list[Charge]:
    failures = activity.of(user, Group.FAILURE).exclude(ip="")[:ATTEMPTS]
    clients = {ip: ClientInfo(ip, "") for ip in ("", *(row.ip for row in failures))}
    found = [
        charge
        for client in clients.values()
        for charge in (*charges_of_password(user, client), *budgets.of_guess(user, None, client))
    ]
    for browser in KnownBrowser.objects.filter(user=user):
        found += [(LOGIN_BROWSER, user.pk, browser.pk), *budgets.of_code(browser, Actor())]
        found += budgets.of_guess(user, browser, NO_CLIENT)
    return [charge for charge in found if charge[0].name not in SHARED]

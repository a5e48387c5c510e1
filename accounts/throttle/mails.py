"""Limits emails that anybody can request: by mailbox, and by the line that requests them.

A mailbox gets at most six of these emails a day, and at most two that the same line has requested.
Clients do not learn when these budgets are used up, because that would reveal which usernames and
email addresses share a mailbox. A client learns only that it has requested too many emails itself.
"""

from accounts.common.client_info import ClientInfo
from accounts.throttle.limits import MAIL_BOX, MAIL_BOX_LINE, MAIL_LINE
from accounts.throttle.services import Charge, give_back, try_spend
from accounts.users import emails


def request_charge(key: str, client: ClientInfo) -> Charge:
    """Return the charge for requesting an email to the username or email address ``key``.

    A client may learn that this budget is used up, because only its own line spends it.
    """
    return MAIL_LINE, emails.mailbox(key), client.wide_network


def may_send(key: str, client: ClientInfo) -> bool:
    """Spend the budgets of an email to the address ``key``, and return whether it may be sent.

    If nobody has the typed username or email address, pass the typed text as ``key``, so that the
    work is the same.
    """
    return try_spend(*_of_mailbox(key, client))


def refund(key: str, client: ClientInfo, *typed: str) -> None:
    """Give back the budgets that an email to ``key`` has spent, because it was used or not sent.

    ``client`` is the client that has used or requested the email. ``typed`` are the usernames and
    email addresses with which the email may have been requested.
    """
    give_back(*(request_charge(name, client) for name in typed), *_of_mailbox(key, client))


def _of_mailbox(key: str, client: ClientInfo) -> list[Charge]:
    box = emails.mailbox(key)
    return [(MAIL_BOX_LINE, box, client.wide_network), (MAIL_BOX, box)]

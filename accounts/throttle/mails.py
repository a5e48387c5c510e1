"""Limits on mails that anybody can cause: how many a mailbox gets, and how many a line asks for.

A mailbox gets at most six a day, two of which one line can cause. Clients are not told when that is
used up, because this would reveal which usernames and addresses share a mailbox. They are told only
when they have asked for too many mails themselves.
"""

from accounts.common.client_info import ClientInfo
from accounts.throttle.limits import MAIL_BOX, MAIL_BOX_LINE, MAIL_LINE
from accounts.throttle.services import Charge, give_back, try_spend
from accounts.users import emails


def request_charge(key: str, client: ClientInfo) -> Charge:
    """Return the charge for asking for a mail to the username or email address ``key``.

    A client may be told that this budget is used up.
    """
    return MAIL_LINE, emails.mailbox(key), client.wide_network


def may_send(key: str, client: ClientInfo) -> bool:
    """Spend the budgets of a mail to the email address ``key``; return whether it may be sent.

    If nobody has the typed username or address, ``key`` is the typed text, so that the work is the
    same.
    """
    return try_spend(*_of_mailbox(key, client))


def refund(key: str, client: ClientInfo, *typed: str) -> None:
    """Give back what a mail to ``key`` has spent, because it was used or was not sent.

    ``client`` is the client that used it or asked for it. ``typed`` are the usernames and email
    addresses by which it may have been asked for.
    """
    give_back(*(request_charge(name, client) for name in typed), *_of_mailbox(key, client))


def _of_mailbox(key: str, client: ClientInfo) -> list[Charge]:
    box = emails.mailbox(key)
    return [(MAIL_BOX_LINE, box, client.wide_network), (MAIL_BOX, box)]

"""Mails that anybody can cause: how many one mailbox gets, and how many one line asks for.

A mailbox gets six a day at most, two of them from one line. Whoever asks sees no difference, since
that would tell which names and addresses belong to one mailbox. What somebody sees is the limit of
what they have asked for themselves.
"""

from accounts.common.client_info import ClientInfo
from accounts.throttle.limits import MAIL_BOX, MAIL_BOX_LINE, MAIL_LINE
from accounts.throttle.services import Charge, give_back, takes
from accounts.users import emails


def asking(key: str, client: ClientInfo) -> Charge:
    """Return what asking for a mail by the name or address ``key`` costs. Refusals are told."""
    return MAIL_LINE, emails.mailbox(key), client.wide_network


def may_leave(key: str, client: ClientInfo) -> bool:
    """Spend what a mail to the address ``key`` costs; return whether it may leave.

    For nobody, ``key`` is what was typed, so that the work is the same.
    """
    return takes(*_of_mailbox(key, client))


def undo(key: str, client: ClientInfo, *typed: str) -> None:
    """Give back what a mail to ``key`` has spent: it was used at ``client``, or never sent.

    ``typed`` are the names and addresses by which it may have been asked for.
    """
    give_back(*(asking(name, client) for name in typed), *_of_mailbox(key, client))


def _of_mailbox(key: str, client: ClientInfo) -> list[Charge]:
    box = emails.mailbox(key)
    return [(MAIL_BOX_LINE, box, client.wide_network), (MAIL_BOX, box)]

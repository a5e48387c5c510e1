"""Mails that anybody can cause: how many one mailbox gets, and how many one line asks for.

A mailbox gets six a day at most, two of them from one line. Whoever asks sees no difference, since
that would tell which names and addresses belong to one mailbox. What somebody sees is the limit of
what they have asked for themselves.
"""

from accounts.common.places import Place
from accounts.throttle.limits import MAIL_BOX, MAIL_BOX_LINE, MAIL_LINE
from accounts.throttle.services import Charge, give_back, takes
from accounts.users import addresses


def asking(key: str, place: Place) -> Charge:
    """Return what asking for a mail by the name or address ``key`` costs. Refusals are told."""
    return MAIL_LINE, addresses.mailbox(key), place.line


def may_leave(key: str, place: Place) -> bool:
    """Spend what a mail to the address ``key`` costs; return whether it may leave.

    For nobody, ``key`` is what was typed, so that the work is the same.
    """
    return takes(*_of_mailbox(key, place))


def undo(key: str, place: Place, *typed: str) -> None:
    """Give back what a mail to ``key`` has spent: it was used at ``place``, or never sent.

    ``typed`` are the names and addresses by which it may have been asked for.
    """
    give_back(*(asking(name, place) for name in typed), *_of_mailbox(key, place))


def _of_mailbox(key: str, place: Place) -> list[Charge]:
    box = addresses.mailbox(key)
    return [(MAIL_BOX_LINE, box, place.line), (MAIL_BOX, box)]

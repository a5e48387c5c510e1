"""Limits the emails that anybody can request without signing in, such as sign-in codes.

A mailbox gets at most six of these emails a day, and at most two that were requested from the same
internet connection (a *line*, see ``throttle.limits``). Clients do not learn when these limits are
reached, because that would reveal which usernames and email addresses share a mailbox. A client
learns only that it has requested too many emails itself.
"""

from accounts.common.client_info import ClientInfo
from accounts.throttle.limits import MAIL_BOX, MAIL_LINE, Budget
from accounts.throttle.services import give_back, spend
from accounts.users import emails


def of_request(key: str, client: ClientInfo) -> Budget:
    """Return the budget for a request of an email.

    A client may learn that it is used up, because only requests from the client's own
    internet connection count.

    Args:
        key: the username or email address that the client has typed.
        client: the client that requests the email.
    """
    return MAIL_LINE.of(emails.mailbox(key), client.wide_network)


def may_send(key: str, client: ClientInfo) -> bool:
    """Count an email to a mailbox, and return whether the email may be sent.

    Args:
        key: the email address of the recipient. If no account has the username or email address
            that the client has typed, pass the typed text, so that the response takes equally long.
        client: the client that requests the email.
    """
    return spend(silent=_of_mailbox(key, client))


def refund(key: str, client: ClientInfo, *typed: str) -> None:
    """Undo the counts of an email, because it was used or could not be sent.

    Args:
        key: the email address of the recipient.
        client: the client that has used or requested the email.
        typed: the usernames and email addresses with which the email may have been requested.
    """
    give_back(*(of_request(name, client) for name in typed), *_of_mailbox(key, client))


def _of_mailbox(key: str, client: ClientInfo) -> list[Budget]:
    box = emails.mailbox(key)
    return [MAIL_LINE.of("mailbox", box, client.wide_network), MAIL_BOX.of(box)]

"""Session protection: a sign-in belongs to the browser, and by choice the network, that made it.

A copied cookie alone is then not enough. It is no more than a hurdle, since who copies a cookie
can copy a User-Agent; the ends of a session and the list of them are the defence behind it.
"""

from enum import Enum

from django.conf import settings

from accounts.common.client_info import ClientInfo
from accounts.sessions.models import LoginSession


class Verdict(Enum):
    """What becomes of a request with a good cookie."""

    SAME = "same"
    PROVE = "prove"
    STOP = "stop"


def judge(session: LoginSession, client: ClientInfo) -> Verdict:
    """Whether ``client`` is where ``session`` belongs; if not, what ``SESSION_PROTECTION`` says.

    A new version of a browser is the same browser. The address is the one that the middleware
    has found, so a forged ``X-Forwarded-For`` changes nothing.
    """
    config = settings.AUTHSITE
    if config.session_protection == "off" or _is_same(session, client):
        return Verdict.SAME
    return Verdict.STOP if config.session_protection == "strong" else Verdict.PROVE


def _is_same(session: LoginSession, client: ClientInfo) -> bool:
    # Only a User-Agent that has changed is worth the parsing.
    if client.user_agent != session.agent and client.device != session.device:
        return False
    network = ClientInfo(session.ip, session.agent).network
    return settings.AUTHSITE.session_protection_network == "off" or client.network == network

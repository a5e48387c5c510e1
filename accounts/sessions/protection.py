"""Session protection: a session can be used only by the browser that signed in.

A setting extends this to the network. A copied cookie alone is then not enough. This is no more
than a hurdle, because a thief who copies a cookie can copy a User-Agent as well. Expiry and the
list of sessions are the defences behind it.
"""

from enum import Enum

from django.conf import settings

from accounts.common.client_info import ClientInfo
from accounts.sessions.models import LoginSession


class Verdict(Enum):
    """What happens to a request with a valid session cookie."""

    SAME = "same"
    PROVE = "prove"
    STOP = "stop"


def judge(session: LoginSession, client: ClientInfo) -> Verdict:
    """Return what ``SESSION_PROTECTION`` demands for a use of ``session`` by ``client``.

    A new version of a browser is still the same browser. The IP address is the one that the
    middleware has determined, so a forged ``X-Forwarded-For`` changes nothing.
    """
    config = settings.AUTHSITE
    if config.session_protection == "off" or _is_same(session, client):
        return Verdict.SAME
    return Verdict.STOP if config.session_protection == "strong" else Verdict.PROVE


def _is_same(session: LoginSession, client: ClientInfo) -> bool:
    # Parsing a User-Agent is slow, so compare the strings first.
    if client.user_agent != session.agent and client.device != session.device:
        return False
    network = ClientInfo(session.ip, session.agent).network
    return settings.AUTHSITE.session_protection_network == "off" or client.network == network

"""Session protection: a session can be used only by the browser that signed in.

A copied cookie alone is therefore not enough. ``SESSION_PROTECTION_NETWORK`` also requires the same
network. Session protection only makes an attack harder, because a thief who copies a cookie can
copy the User-Agent as well. Sessions also expire, and users can revoke them.
"""

from enum import Enum

from django.conf import settings

from accounts.common.client_info import ClientInfo
from accounts.sessions.models import LoginSession


class Verdict(Enum):
    """How a request with a valid session cookie is treated.

    ``SAME`` accepts the request, ``PROVE`` requires reauthentication, and ``STOP`` revokes the
    session.
    """

    SAME = "same"
    PROVE = "prove"
    STOP = "stop"


def judge(session: LoginSession, client: ClientInfo) -> Verdict:
    """Return how ``SESSION_PROTECTION`` treats a request of ``client`` in ``session``.

    A new version of a browser counts as the same browser. The middleware has already determined the
    IP address, so a forged ``X-Forwarded-For`` has no effect.
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

"""Logout tokens: signed statements that a session of an app has ended.

Their header has the type ``logout+jwt``, so that nobody accepts one as an ID token or an access
token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
"""

import uuid
from datetime import timedelta

from django.conf import settings

from accounts.common import clock, secrets
from accounts.oauth import id_tokens
from accounts.tokens import keyring, signatures

TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(minutes=2)


def issue(session_id: uuid.UUID, subject: uuid.UUID, client_id: str) -> str:
    """Return a logout token for the app ``client_id`` about its session ``session_id``.

    ``subject``: the :attr:`LoginSession.subject` of that session.

    Each token has a new ``jti``: an app may refuse a second token with the same one as a replay,
    although it has not acted on the first.
    """
    now = clock.now()
    claims = {
        "iss": settings.AUTHSITE.origin,
        "aud": client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": secrets.token(),
        "sub": str(subject),
        "sid": str(session_id),
        "events": {EVENT: {}},
    }
    return signatures.sign(claims, TYPE, keyring.signer(id_tokens.algorithm()))

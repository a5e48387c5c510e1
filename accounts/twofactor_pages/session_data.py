"""Stores secrets in the session data, encrypted, while the user adds a second factor.

The seed of an authenticator app is not stored with the account before its first code is right.
Otherwise a thief who had begun to add an app would know the seed of the app that the owner adds.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.http import HttpRequest

from accounts.common import clock, crypto
from accounts.users.models import User


@dataclass(frozen=True)
class SessionSecret:
    """A secret that a page may show again until it is removed or ``life`` is over.

    ``key`` is the key of the secret in the session data. The argument ``sign_in`` of the methods is
    the id of the sign-in that the secret belongs to. No other sign-in can read it.
    """

    key: str
    life: timedelta

    def put(self, request: HttpRequest, user: User, secret: str, sign_in: str = "") -> None:
        """Store ``secret`` in the session data, for ``user`` only."""
        until = (clock.now() + self.life).timestamp()
        data = {"whose": f"{user.pk} {sign_in}", "secret": secret, "until": until}
        request.session[self.key] = crypto.seal(json.dumps(data), self.key)

    def get(self, request: HttpRequest, user: User, sign_in: str = "") -> str | None:
        """Return the secret of ``user``, or None if there is none or it has expired."""
        sealed = request.session.get(self.key)
        data = _open(sealed, self.key) if sealed else {}
        is_own = data.get("whose") == f"{user.pk} {sign_in}"
        if is_own and clock.now().timestamp() < data["until"]:
            return str(data["secret"])
        if sealed:
            self.drop(request)
        return None

    def drop(self, request: HttpRequest) -> None:
        """Remove the secret from the session data."""
        request.session.pop(self.key, None)


SEED = SessionSecret("totp_seed", timedelta(hours=1))
# Long enough to write the codes down.
CODES = SessionSecret("recovery_codes", timedelta(minutes=15))


def _open(sealed: str, key: str) -> dict[str, Any]:
    """Return the decrypted data; an empty dictionary if the encryption key was removed."""
    try:
        return dict(json.loads(crypto.unseal(sealed, key)))
    except InvalidToken:
        return {}

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
    """A secret that pages may show until it is dropped or ``life`` is over.

    ``key`` is the key of the secret in the session data. The argument ``sign_in`` of the methods is
    the id of the sign-in that the secret belongs to. No other sign-in can read it.
    """

    key: str
    life: timedelta

    def put(self, request: HttpRequest, user: User, secret: str, sign_in: str = "") -> None:
        """Store ``secret`` in the session data, for ``user`` only."""
        request.session[self.key] = self.seal(user, secret, sign_in)

    def seal(self, user: User, secret: str, sign_in: str = "") -> str:
        """Encrypt ``secret`` for :meth:`open`, for ``user`` only."""
        until = (clock.now() + self.life).timestamp()
        data = {"whose": f"{user.pk} {sign_in}", "secret": secret, "until": until}
        return crypto.seal(json.dumps(data), self.key)

    def get(self, request: HttpRequest, user: User, sign_in: str = "") -> str | None:
        """Return the secret of ``user``, or None if there is none or its time is over."""
        sealed = request.session.get(self.key, "")
        secret = self.open(sealed, user, sign_in)
        if sealed and secret is None:
            self.drop(request)
        return secret

    def pop(self, request: HttpRequest) -> str:
        """Remove the secret from the session data; return it encrypted, or an empty string."""
        return str(request.session.pop(self.key, ""))

    def open(self, sealed: str, user: User, sign_in: str = "") -> str | None:
        """Decrypt ``sealed``, which may come from a form.

        Returns None if ``sealed`` is not a secret of ``user``, or if its time is over.
        """
        data = _open(sealed, self.key)
        is_own = data.get("whose") == f"{user.pk} {sign_in}"
        return str(data["secret"]) if is_own and clock.now().timestamp() < data["until"] else None

    def drop(self, request: HttpRequest) -> None:
        """Remove the secret from the session data."""
        request.session.pop(self.key, None)


SEED = SessionSecret("totp_seed", timedelta(hours=1))
# Long enough to write the codes down. The page that shows the codes takes them out of the session
# data. Its forms send them back encrypted, so that no other page can show them.
CODES = SessionSecret("recovery_codes", timedelta(minutes=15))


def _open(sealed: str, key: str) -> dict[str, Any]:
    """Decrypt ``sealed``; return an empty dictionary if that is not possible."""
    try:
        return dict(json.loads(crypto.unseal(sealed, key)))
    except (InvalidToken, ValueError):
        # The encryption key was removed, or a form sent something else; ``cryptography`` raises
        # ValueError for characters outside ASCII.
        return {}

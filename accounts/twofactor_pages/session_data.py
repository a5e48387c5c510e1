"""What an enrolment shows, in the browser's session until it's finished: sealed, for one person.

The seed is there, and in no row of the account's: whoever had begun an enrolment before the owner
would know the seed of the owner's app.
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
class Kept:
    """One secret that a page shows again until it's dropped, or its time is over.

    ``sign_in`` names the sign-in that it's shown to, where no other of the same person may see it.
    """

    key: str
    life: timedelta

    def put(self, request: HttpRequest, user: User, secret: str, sign_in: str = "") -> None:
        """Keep ``secret``, for ``user`` only."""
        until = (clock.now() + self.life).timestamp()
        kept = {"whose": f"{user.pk} {sign_in}", "secret": secret, "until": until}
        request.session[self.key] = crypto.seal(json.dumps(kept), self.key)

    def get(self, request: HttpRequest, user: User, sign_in: str = "") -> str | None:
        """It again, if there is one, and it's theirs."""
        sealed = request.session.get(self.key)
        kept = _open(sealed, self.key) if sealed else {}
        is_theirs = kept.get("whose") == f"{user.pk} {sign_in}"
        if is_theirs and clock.now().timestamp() < kept["until"]:
            return str(kept["secret"])
        if sealed:
            self.drop(request)
        return None

    def drop(self, request: HttpRequest) -> None:
        """Forget it."""
        request.session.pop(self.key, None)


SEED = Kept("totp_seed", timedelta(hours=1))
# As long as it takes to keep them, and no longer than a fresh proof, nearly.
CODES = Kept("recovery_codes", timedelta(minutes=15))


def _open(sealed: str, key: str) -> dict[str, Any]:
    """What was kept; nothing, if its key of ``ENCRYPTION_KEYS`` is gone."""
    try:
        return dict(json.loads(crypto.unseal(sealed, key)))
    except InvalidToken:
        return {}

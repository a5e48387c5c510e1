"""What an enrolment shows, in the browser's session until it's finished: sealed, for one person.

The seed is there, and in no row of the account's: whoever had begun an enrolment before the owner
would know the seed of the owner's app.
"""

import json
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest

from accounts.kernel import clock, crypto
from accounts.users.models import User

LIFE = timedelta(hours=1)


@dataclass(frozen=True)
class Kept:
    """One secret that a page shows again until it's dropped, or an hour is over.

    ``sign_in`` names the sign-in that it's shown to, where no other of the same person may see it.
    """

    key: str

    def put(self, request: HttpRequest, user: User, secret: str, sign_in: str = "") -> None:
        """Keep ``secret``, for ``user`` only."""
        until = (clock.now() + LIFE).timestamp()
        kept = {"whose": f"{user.pk} {sign_in}", "secret": secret, "until": until}
        request.session[self.key] = crypto.seal(json.dumps(kept), self.key)

    def get(self, request: HttpRequest, user: User, sign_in: str = "") -> str | None:
        """It again, if there is one, and it's theirs."""
        sealed = request.session.get(self.key)
        if sealed is None:
            return None
        kept = json.loads(crypto.unseal(sealed, self.key))
        is_theirs = kept["whose"] == f"{user.pk} {sign_in}"
        is_good = is_theirs and clock.now().timestamp() < kept["until"]
        return str(kept["secret"]) if is_good else None

    def drop(self, request: HttpRequest) -> None:
        """Forget it."""
        request.session.pop(self.key, None)


SEED = Kept("totp_seed")
CODES = Kept("recovery_codes")

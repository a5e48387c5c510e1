"""A claim that waits in this browser until its owner says that it's to be connected."""

from dataclasses import asdict, dataclass
from datetime import timedelta

from django.http import HttpRequest

from accounts.common import clock
from accounts.social.provider_profile import Claim
from accounts.social.services import owner_of
from accounts.users.models import User

KEY = "provider_claim"
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class Waiting:
    """``claim``, where the browser wanted to go, and the id of the person who has begun it, if
    somebody was signed in; else it's for whom its address belongs to."""

    claim: Claim
    next_url: str
    begun_by: str

    def is_for(self, user: User) -> bool:
        """Whether it's ``user`` who may say so."""
        if self.begun_by:
            return self.begun_by == str(user.pk)
        return owner_of(self.claim) == user


def put(request: HttpRequest, claim: Claim, next_url: str, begun_by: str = "") -> None:
    """Keep it."""
    facts = {**asdict(claim), "signed_in_at": None}
    until = (clock.now() + LIFE).timestamp()
    kept = {"claim": facts, "next": next_url, "by": begun_by, "until": until}
    request.session[KEY] = kept


def get(request: HttpRequest) -> Waiting | None:
    """What waits, if it's not too old."""
    kept = request.session.get(KEY)
    if not kept or kept["until"] <= clock.now().timestamp():
        return None
    return Waiting(Claim(**kept["claim"]), kept["next"], kept["by"])


def drop(request: HttpRequest) -> None:
    """Nothing waits any more."""
    request.session.pop(KEY, None)

"""A claim that waits in this browser until its owner has signed in to the account it belongs to."""

from dataclasses import asdict
from datetime import timedelta

from django.http import HttpRequest

from accounts.kernel import clock
from accounts.social.claims import Claim

KEY = "provider_claim"
LIFE = timedelta(minutes=30)


def put(request: HttpRequest, claim: Claim, next_url: str) -> None:
    """Keep ``claim``, and where the browser wanted to go."""
    facts = {**asdict(claim), "signed_in_at": None}
    until = (clock.now() + LIFE).timestamp()
    request.session[KEY] = {"claim": facts, "next": next_url, "until": until}


def get(request: HttpRequest) -> tuple[Claim, str] | None:
    """What waits, if it's not too old."""
    kept = request.session.get(KEY)
    if not kept or kept["until"] <= clock.now().timestamp():
        return None
    return Claim(**kept["claim"]), kept["next"]


def drop(request: HttpRequest) -> None:
    """Nothing waits any more."""
    request.session.pop(KEY, None)

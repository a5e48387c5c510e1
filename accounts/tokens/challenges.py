"""What a client of the API holds between the first and the second step of a sign-in.

It's good for five minutes and five codes, and is spent by the one DELETE that finds it. Signing in
again gives a new one, but no guesses back: those are counted by account (CVE-2025-64102).
"""

import hashlib
from datetime import datetime, timedelta

from django.db.models import F

from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.sessions.models import LoginSession
from accounts.signin import mailed_codes, second_step
from accounts.tokens.errors import InvalidChallenge
from accounts.tokens.models import TokenChallenge
from accounts.users.models import User

LIFE = timedelta(minutes=5)
TRIES = 5


def issue(
    user: User, proofs: tuple[Proof, ...], *, audience: str, scope: str, kind: LoginSession.Kind
) -> str:
    """A new one, for ``user`` after ``proofs``, with what was asked for."""
    secret = secrets.token()
    TokenChallenge.objects.create(
        digest=_digest(secret),
        user=user,
        version=user.credential_version,
        proofs=[(proof.method, proof.at.isoformat()) for proof in proofs],
        audience=audience,
        scope=scope,
        kind=kind,
        tries_left=TRIES,
        expires_at=clock.now() + LIFE,
    )
    return secret


def find(secret: str, kind: LoginSession.Kind) -> TokenChallenge:
    """The one of that secret, with its user; :class:`InvalidChallenge`.

    One that a page in a browser was given is good there only: elsewhere the answer would show the
    refresh token.
    """
    rows = TokenChallenge.objects.select_related("user").filter(expires_at__gt=clock.now())
    row = rows.filter(digest=_digest(secret), kind=kind, user__is_active=True).first()
    if row is None or row.version != row.user.credential_version:
        raise InvalidChallenge
    return row


def take_try(challenge: TokenChallenge) -> None:
    """Pay for a code before it's looked at; :class:`InvalidChallenge` if none is left."""
    rows = TokenChallenge.objects.filter(pk=challenge.pk, tries_left__gt=0)
    if not rows.update(tries_left=F("tries_left") - 1):
        raise InvalidChallenge


def spend(challenge: TokenChallenge) -> None:
    """Use it up; :class:`InvalidChallenge` if another was first."""
    if not TokenChallenge.objects.filter(pk=challenge.pk).delete()[0]:
        raise InvalidChallenge


def mail_code(challenge: TokenChallenge, client: ClientInfo) -> None:
    """Mail a code for the second step. An earlier code stops working.

    Raises:
        NoMail, Later: see ``second_step.send_code``.
    """
    nonce = mailed_codes.new_nonce()
    second_step.send_code(challenge.user, proofs(challenge), nonce, client)
    TokenChallenge.objects.filter(pk=challenge.pk).update(nonce=nonce)


def proofs(challenge: TokenChallenge) -> tuple[Proof, ...]:
    """What was shown for it."""
    return tuple(Proof(Method(m), datetime.fromisoformat(at)) for m, at in challenge.proofs)


def prune() -> int:
    """Delete those that are over; how many."""
    return TokenChallenge.objects.filter(expires_at__lte=clock.now()).delete()[0]


def _digest(secret: str) -> str:
    """Of 256 random bits: no key is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()

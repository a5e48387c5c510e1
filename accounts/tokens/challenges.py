"""Challenges: what an API client holds between the first and the second step of a sign-in.

A challenge is valid for five minutes and five codes. The one DELETE that finds it spends it. A new
sign-in gives a new challenge but no further guesses, because wrong codes are also counted for the
account (CVE-2025-64102).
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
    """Store a challenge for ``user``, who has shown ``proofs``; return its secret.

    ``audience``, ``scope`` and ``kind`` are those of the tokens that completing the challenge
    issues.
    """
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
    """Return the challenge with this secret, and its user.

    Only a client of the same ``kind`` may complete a challenge. Otherwise a script in a page could
    complete it as an API client and read the refresh token, which pages get as a cookie.

    Raises:
        InvalidChallenge: there is no such challenge, it has expired, or the account has changed.
    """
    rows = TokenChallenge.objects.select_related("user").filter(expires_at__gt=clock.now())
    row = rows.filter(digest=_digest(secret), kind=kind, user__is_active=True).first()
    if row is None or row.version != row.user.credential_version:
        raise InvalidChallenge
    return row


def take_try(challenge: TokenChallenge) -> None:
    """Count one try of ``challenge``; call this before the code is checked.

    Raises:
        InvalidChallenge: no tries are left.
    """
    rows = TokenChallenge.objects.filter(pk=challenge.pk, tries_left__gt=0)
    if not rows.update(tries_left=F("tries_left") - 1):
        raise InvalidChallenge


def spend(challenge: TokenChallenge) -> None:
    """Delete ``challenge``, so that it cannot be completed again.

    Raises:
        InvalidChallenge: a parallel request has spent it first.
    """
    if not TokenChallenge.objects.filter(pk=challenge.pk).delete()[0]:
        raise InvalidChallenge


def mail_code(challenge: TokenChallenge, client: ClientInfo) -> None:
    """Mail a code for the second step, in place of any code that was mailed before.

    Raises:
        NoMail, RateLimited: see ``second_step.send_code``.
    """
    nonce = mailed_codes.new_nonce()
    second_step.send_code(challenge.user, proofs(challenge), nonce, client)
    TokenChallenge.objects.filter(pk=challenge.pk).update(nonce=nonce)


def proofs(challenge: TokenChallenge) -> tuple[Proof, ...]:
    """Return the proofs of the first step, after which ``challenge`` was issued."""
    return tuple(Proof(Method(m), datetime.fromisoformat(at)) for m, at in challenge.proofs)


def prune() -> int:
    """Delete expired challenges; return how many."""
    return TokenChallenge.objects.filter(expires_at__lte=clock.now()).delete()[0]


def _digest(secret: str) -> str:
    """Return the digest to store; unkeyed, because the secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()

"""Challenges for API clients, which are issued after the first step of a sign-in.

The client completes the sign-in by sending the challenge and the second factor. A challenge is
valid for five minutes and five attempts, and can be completed once. A new challenge does not allow
more guesses, because wrong codes are also counted for the account (CVE-2025-64102).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from accounts.activity.services import Actor
from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Proof
from accounts.sessions.models import LoginSession
from accounts.signin import mailed_codes, second_step
from accounts.signin.second_step import SecondMethod
from accounts.tokens.errors import EnrolmentRequired, InvalidChallenge, SecondFactorRequired
from accounts.tokens.models import TokenChallenge
from accounts.twofactor import passkeys
from accounts.twofactor import services as twofactor
from accounts.users.models import User

LIFE = timedelta(minutes=5)
TRIES = 5


def issue(
    user: User, proofs: tuple[Proof, ...], *, audience: str, scope: str, kind: LoginSession.Kind
) -> str:
    """Store a challenge for ``user`` and return its secret.

    ``proofs``: the proofs that the user has shown in the first step of the sign-in.
    ``audience``, ``scope``, ``kind``: the tokens to issue when the challenge is completed.
    """
    secret = secrets.token()
    TokenChallenge.objects.create(
        digest=secrets.plain_digest(secret),
        user=user,
        version=user.credential_version,
        proofs=[proof.to_json() for proof in proofs],
        audience=audience,
        scope=scope,
        kind=kind,
        tries_left=TRIES,
        expires_at=clock.now() + LIFE,
    )
    return secret


def get_challenge(secret: str, kind: LoginSession.Kind) -> TokenChallenge:
    """Return the challenge with this secret; its ``user`` is loaded by the same query.

    Only the ``kind`` of client to which a challenge was issued can complete it. A page in a browser
    receives its refresh token as a cookie, which scripts cannot read. If a script could complete
    the challenge of the page as an API client, it would receive the refresh token as text.

    Raises:
        InvalidChallenge: the challenge does not exist for ``kind`` or has expired, or the
            account was changed.
    """
    rows = TokenChallenge.objects.select_related("user").filter(expires_at__gt=clock.now())
    row = rows.filter(digest=secrets.plain_digest(secret), kind=kind, user__is_active=True).first()
    if row is None or row.version != row.user.credential_version:
        raise InvalidChallenge
    return row


def take_try(challenge: TokenChallenge) -> None:
    """Count one attempt at ``challenge``; call this before the code is checked.

    Raises:
        InvalidChallenge: no attempts are left.
    """
    rows = TokenChallenge.objects.filter(pk=challenge.pk, tries_left__gt=0)
    if not rows.update(tries_left=F("tries_left") - 1):
        raise InvalidChallenge


def consume(challenge: TokenChallenge) -> None:
    """Delete ``challenge``, so that it cannot be completed again.

    Raises:
        InvalidChallenge: a simultaneous request has already completed it.
    """
    if not TokenChallenge.objects.filter(pk=challenge.pk).delete()[0]:
        raise InvalidChallenge


def mail_code(challenge: TokenChallenge, client: ClientInfo) -> None:
    """Email a code for the second step of the sign-in. Earlier emailed codes stop working.

    Raises:
        NoMail: emailed codes are not accepted, or the user has no email address.
        RateLimited: too many emails were requested.
    """
    nonce = mailed_codes.new_nonce()
    second_step.send_code(challenge.user, proofs(challenge), nonce, client)
    TokenChallenge.objects.filter(pk=challenge.pk).update(nonce=nonce)


def proofs(challenge: TokenChallenge) -> tuple[Proof, ...]:
    """Return the proofs that were shown in the first step, before ``challenge`` was issued."""
    return tuple(map(Proof.from_json, challenge.proofs))


@dataclass(frozen=True)
class FactorResponse:
    """The response in the second step: a code, or the response of a passkey (JSON)."""

    code: str = ""
    credential: str = ""


def second_proof(
    user: User,
    first: tuple[Proof, ...],
    response: FactorResponse,
    actor: Actor,
    *,
    nonce: str = "",
) -> Proof:
    """Check the second factor ``response`` of ``user``, and return its proof.

    ``first``: the earlier proofs.
    ``nonce``: identifies the request for an emailed code; empty if there was none.

    Raises:
        WrongFactorCode, WrongPasskey: the response is wrong.
        EnrolmentRequired: the account accepts only a passkey.
        RateLimited: there were too many guesses.
    """
    if response.credential:
        return passkeys.verify(user, response.credential, actor)
    if twofactor.needs_passkey(user) and twofactor.has_passkey(user):
        # This comes before the code is checked, because a recovery code would be used up without a
        # result.
        raise EnrolmentRequired
    return second_step.verify(user, first, response.code, actor, nonce=nonce)


def second_factor_required(
    user: User, proofs: tuple[Proof, ...], **more: Any
) -> SecondFactorRequired:
    """Return the error that requires a second factor of ``user``, with the accepted methods.

    ``proofs``: the earlier proofs of the user.
    ``more``: further members of the response.
    """
    more["methods"] = methods = methods_of(user, proofs)
    if SecondMethod.PASSKEY in methods:
        more["options"] = passkeys.options_for_second_step(user)
    return SecondFactorRequired(**more)


def methods_of(user: User, proofs: tuple[Proof, ...]) -> list[SecondMethod]:
    """Return the methods by which an API client can prove the second factor of ``user``.

    Only a passkey is returned if ``user`` must use one. An emailed code is accepted only as an
    alternative to another code, because access to a mailbox must not replace a passkey, which
    resists phishing. It is also accepted from staff without a factor, who confirm their mailbox
    before they add one.
    """
    methods = second_step.methods(user, proofs)
    only_passkey = SecondMethod.PASSKEY in methods and (
        twofactor.needs_passkey(user)
        or not {SecondMethod.TOTP, SecondMethod.RECOVERY_CODE} & {*methods}
    )
    return [SecondMethod.PASSKEY] if only_passkey else methods


def prune() -> int:
    """Delete expired challenges; return how many were deleted."""
    return TokenChallenge.objects.filter(expires_at__lte=clock.now()).delete()[0]

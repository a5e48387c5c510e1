"""Tokens for a password, a second step, a refresh token or an access token; and their end.

What is needed to sign is looked for first: a rotation, a code or a sign-in whose answer can't be
signed would be used up for nothing, and the retry taken for a thief's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.signin import policy, second_step
from accounts.signin.policy import Requirement
from accounts.signin.second_step import SecondMethod
from accounts.signin.services import InvalidCredentials, prove_password
from accounts.signin.session import CompletedSignIn, establish_api_session
from accounts.throttle.limits import EXCHANGE_SESSION
from accounts.throttle.services import spend
from accounts.tokens import access, challenges, families, refresh, scopes
from accounts.tokens.access import AccessToken
from accounts.tokens.errors import (
    EmailNotVerified,
    EnrolmentRequired,
    InvalidToken,
    PasswordCompromised,
    SecondFactorRequired,
    TokenExpired,
    UnknownService,
)
from accounts.users.models import PendingSignup, User
from accounts.users.services import AccountChanged


@dataclass(frozen=True)
class TokenRequest:
    """What tokens are asked for: for which service, to do what (None for all that one has), and by
    which kind of client."""

    audience: str
    scope: frozenset[str] | None = None
    kind: LoginSession.Kind = LoginSession.Kind.API


@dataclass(frozen=True)
class Tokens:
    """An access token of ``session``, and its refresh token if one was issued."""

    access: AccessToken
    session: LoginSession
    refresh: str = ""


def sign_in(login: str, password: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """Tokens for the person of that name or address.

    ``InvalidCredentials``, ``AccountInactive``, ``Later``; :class:`PasswordCompromised`,
    :class:`EmailNotVerified`, :class:`SecondFactorRequired` with a challenge,
    :class:`EnrolmentRequired`.
    """
    access.be_ready()
    account = _prove(login, password, client)
    proofs = (Proof.now(Method.PASSWORD),)
    requirement = policy.next_requirement(account, proofs)
    if requirement is Requirement.SECOND_FACTOR and isinstance(account, User):
        raise _challenge(account, proofs, token_request)
    return _begin(_cleared(account, requirement), proofs, token_request, client)


def sign_in_again(
    secret: str, code: str, client: ClientInfo, kind: LoginSession.Kind = LoginSession.Kind.API
) -> Tokens:
    """Tokens for whoever has taken the first step, and takes the second.

    ``InvalidChallenge``, ``WrongCode``, ``Later``; as :func:`sign_in` for what is still missing.
    """
    access.be_ready()
    challenge = challenges.find(secret, kind)
    challenges.take_try(challenge)
    user, first = challenge.user, challenges.proofs(challenge)
    if policy.needs_passkey(user):
        # No code will do. A recovery code isn't used up for nothing.
        raise EnrolmentRequired
    proof = second_step.prove(user, first, code, Actor(client), nonce=challenge.nonce)
    proofs = (*first, proof)
    _cleared(user, policy.next_requirement(user, proofs))
    token_request = TokenRequest(challenge.audience, frozenset(challenge.scope.split()), kind)
    with transaction.atomic():
        challenges.spend(challenge)
        return _begin(user, proofs, token_request, client)


def mail_code(
    secret: str, client: ClientInfo, kind: LoginSession.Kind = LoginSession.Kind.API
) -> None:
    """Mail a code for the second step; ``InvalidChallenge``, ``second_step.NoMail``, ``Later``."""
    challenge = challenges.find(secret, kind)
    if SecondMethod.EMAIL not in _methods(challenge.user, challenges.proofs(challenge)):
        raise second_step.NoMail
    challenges.mail_code(challenge, client)


def renew(token: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """A new pair for a refresh token. ``InvalidToken``, ``TokenReused``, ``UnknownScope``."""
    access.be_ready()
    if token_request.scope is not None and (family := families.with_newest(token)):
        # Before the rotation: an answer that only refuses would have used the token up.
        scopes.narrowed(family.scope.split(), token_request.scope)
    session, follower = families.rotate(token, client, token_request.kind)
    scope = scopes.narrowed(session.scope.split(), token_request.scope)
    return Tokens(AccessToken.issue(session, token_request.audience, scope), session, follower)


def exchange(
    held: AccessToken, session: LoginSession, token_request: TokenRequest, client: ClientInfo
) -> Tokens:
    """Return a fresh access token for ``held``: same session and audience, no more rights.

    A stolen token must not be renewed for as long as its session lasts: a chain of exchanges ends
    ``EXCHANGE_SECONDS`` after its first token was issued, each is in the history, and a page in a
    browser exchanges nothing.

    Raises:
        InvalidToken: it is too late, or the token is a page's.
        UnknownService: another audience was asked for.
        UnknownScope: ``held`` has less than was asked for.
        Later: the session has exchanged too many tokens.
    """
    if session.kind == LoginSession.Kind.APP:
        raise InvalidToken
    if clock.now().timestamp() >= held.first_at + settings.AUTHSITE.seconds_to_exchange:
        raise InvalidToken
    if token_request.audience != held["aud"]:
        raise UnknownService
    scope = scopes.narrowed(held.scope, token_request.scope)
    access.be_ready()
    spend((EXCHANGE_SESSION, session.pk))
    record(session.user, events.TOKEN_EXCHANGED, Actor(client, session=session.pk))
    fresh = AccessToken.issue(session, token_request.audience, scope, first_at=held.first_at)
    return Tokens(fresh, session)


def read(
    text: str, audiences: tuple[str, ...] | None = None, *, tells_expired: bool = False
) -> tuple[AccessToken, LoginSession]:
    """Return a good access token and its live session, with the person.

    Raises:
        TokenExpired: it has expired, and ``tells_expired``.
        InvalidToken: it is not good for any other reason.
    """
    try:
        token = AccessToken(text, audiences=audiences)
    except TokenError as error:
        if tells_expired and isinstance(error, ExpiredTokenError):
            raise TokenExpired from None
        raise InvalidToken from None
    session = families.find(token.sid, token.subject)
    if session is None:
        raise InvalidToken
    return token, session


def claims(text: str) -> Mapping[str, Any]:
    """The claims of a live access token for any service of this site; :class:`InvalidToken`."""
    config = settings.AUTHSITE
    return read(text, (config.origin, *config.token_audiences))[0].payload


def revoke(text: str, client: ClientInfo) -> None:
    """End the family of a token of either kind, if it's one (RFC 7009 section 2).

    An access token ends its family also when it has expired: a client that signs out late must not
    be told that it has. One for another service ends nothing: that service has it, too.
    """
    session = families.of(text) or _family_of_access(text)
    if session is not None:
        families.revoke(session, Actor(client, session=session.pk))


def _family_of_access(text: str) -> LoginSession | None:
    try:
        token = AccessToken(text, takes_expired=True)
    except TokenError:
        return None
    return families.find(token.sid, token.subject)


def prove_by_password(login: str, password: str, client: ClientInfo) -> User:
    """Whom a call with a password alone is made by; never an account that needs more than that.

    As :func:`sign_in`; :class:`SecondFactorRequired` without a challenge.
    """
    account = _prove(login, password, client)
    return _cleared(account, policy.next_requirement(account, (Proof.now(Method.PASSWORD),)))


def _prove(login: str, password: str, client: ClientInfo) -> User | PendingSignup:
    """Return whose password it is; :class:`PasswordCompromised` if attackers know it."""
    account = prove_password(login, password, client)
    if isinstance(account, User) and passwords.is_compromised(password):
        raise PasswordCompromised
    return account


REFUSALS: dict[Requirement, type[PublicError]] = {
    Requirement.ADDRESS: EmailNotVerified,
    Requirement.SECOND_FACTOR: SecondFactorRequired,
    Requirement.PASSWORD: EnrolmentRequired,
    Requirement.MAILBOX: EnrolmentRequired,
    Requirement.ENROLMENT: EnrolmentRequired,
    Requirement.PASSKEY: EnrolmentRequired,
}


def _cleared(account: User | PendingSignup, requirement: Requirement | None) -> User:
    """``account``, if nothing is missing; else what is, as an error."""
    if requirement is not None or not isinstance(account, User):
        raise REFUSALS[requirement or Requirement.ADDRESS]
    return account


def _challenge(
    user: User, proofs: tuple[Proof, ...], token_request: TokenRequest
) -> SecondFactorRequired:
    scope = scopes.written(token_request.scope or scopes.DEFAULT)
    secret = challenges.issue(
        user, proofs, audience=token_request.audience, scope=scope, kind=token_request.kind
    )
    return SecondFactorRequired(challenge=secret, methods=_methods(user, proofs))


def _methods(user: User, proofs: tuple[Proof, ...]) -> list[SecondMethod]:
    """What can be typed. A mail only beside an app or recovery codes: whoever has nothing but
    passkeys, which no forged page gets at, is not to be let in by a mailbox instead. Nothing for
    whom only a passkey will do."""
    if policy.needs_passkey(user):
        return []
    methods = second_step.methods(user, proofs)
    typed: list[SecondMethod] = [m for m in methods if m != SecondMethod.PASSKEY]
    return typed if typed != [SecondMethod.EMAIL] else []


def _begin(
    user: User, proofs: tuple[Proof, ...], token_request: TokenRequest, client: ClientInfo
) -> Tokens:
    """A new family, by the door."""
    scope = token_request.scope or scopes.DEFAULT
    session = sessions.new_api_session(
        user, proofs, client, kind=token_request.kind, scope=scopes.written(scope)
    )
    token = refresh.first(session.pk)
    session.refresh_digest = refresh.digest(token)
    try:
        establish_api_session(CompletedSignIn(user, proofs), session, client)
    except AccountChanged:
        raise InvalidCredentials from None
    return Tokens(AccessToken.issue(session, token_request.audience, scope), session, token)

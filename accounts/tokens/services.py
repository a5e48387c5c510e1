"""Issues, renews, exchanges, verifies and revokes tokens.

Functions that issue tokens load the signing key first. If signing failed later, a refresh token, a
code or a challenge would be used up without a result, and a repeated refresh token would look
stolen.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.activity.services import Actor, record, record_once_an_hour
from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.sessions import known_browsers
from accounts.sessions import services as sessions
from accounts.sessions.models import LoginSession
from accounts.signin import mailed_codes, policy, second_step
from accounts.signin.policy import Requirement
from accounts.signin.second_step import SecondMethod
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.signin.session import CompletedSignIn, establish_api_session
from accounts.terms import services as terms
from accounts.throttle.limits import EXCHANGE_SESSION
from accounts.throttle.services import find_record, hit, remember_once
from accounts.tokens import families, scopes, signatures, token_challenges
from accounts.tokens.access import AccessToken
from accounts.tokens.errors import (
    DeletionRequested,
    EmailNotVerified,
    EnrolmentRequired,
    InvalidChallenge,
    InvalidToken,
    PasswordCompromised,
    SecondFactorRequired,
    TokenExpired,
    UnknownService,
)
from accounts.tokens.models import TokenChallenge
from accounts.tokens.token_challenges import (
    FactorResponse,
    methods_of,
    second_factor_required,
    second_proof,
)
from accounts.twofactor import passkeys
from accounts.users.models import PendingSignup, User
from accounts.users.services import AccountChanged


@dataclass(frozen=True)
class TokenRequest:
    """The audience, the scope and the kind of client of the tokens that a client requests.

    If ``scope`` is None, a sign-in grants ``read`` and ``write``. A refresh then grants every scope
    of the session, and an exchange every scope of the exchanged token.

    ``terms_version``: the version of the terms that the person accepts; empty for none.
    """

    audience: str
    scope: frozenset[str] | None = None
    kind: LoginSession.Kind = LoginSession.Kind.API
    terms_version: str = ""


@dataclass(frozen=True)
class Tokens:
    """The issued tokens. An exchange issues no refresh token (empty string)."""

    access: AccessToken
    session: LoginSession
    refresh: str = ""


def sign_in(login: str, password: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """Sign in with a password and return the tokens.

    Raises:
        InvalidCredentials: the account does not exist, or the password is wrong or unusable.
        PasswordCompromised: the password is right, but must be replaced.
        RateLimited: there were too many attempts, or the site is busy.
        PublicError: any error of :func:`proceed`.
    """
    signatures.be_ready()
    account = _verify_password(login, password, client)
    return proceed(account, Proof.now(Method.PASSWORD), token_request, client)


def sign_in_by_passkey(credential: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """Sign in with the response ``credential`` of a passkey (JSON), and return the tokens.

    Raises:
        WrongPasskey: the response is not valid, or the account is locked.
        RateLimited: there were too many attempts.
        PublicError: any error of :func:`proceed`.
    """
    signatures.be_ready()
    return proceed(*passkeys.sign_in(credential, Actor(client)), token_request, client)


def sign_in_by_code(
    challenge: str, code: str, token_request: TokenRequest, client: ClientInfo
) -> Tokens:
    """Sign in with the emailed code that was requested with ``challenge``; return the tokens.

    Raises:
        TermsRequired: the person has not accepted the current terms. The code stays valid.
        WrongCode, UsedUp: see :func:`accounts.signin.mailed_codes.verify_mailed_code`.
        RateLimited: there were too many guesses.
        PublicError: any error of :func:`proceed`.
    """

    def check_terms(user: User) -> None:
        if terms.must_accept(user):
            terms.check(token_request.terms_version)

    signatures.be_ready()
    login, nonce = mailed_codes.read_challenge(mailed_codes.CODE, challenge)
    proved = mailed_codes.verify_mailed_code(login, nonce, code, client, check_terms)
    return proceed(*proved, token_request, client)


def proceed(
    account: User | PendingSignup, proof: Proof, token_request: TokenRequest, client: ClientInfo
) -> Tokens:
    """Return the tokens of a sign-in to ``account`` whose first step was ``proof``.

    Raises:
        EmailNotVerified, AccountInactive, DeletionRequested: the account cannot sign in to the
            API.
        TermsRequired: the person has not accepted the current terms.
        SecondFactorRequired, EnrolmentRequired: another step is required; the error contains
            the challenge for it.
    """
    proofs = (proof,)
    requirement = policy.next_requirement(account, proofs)
    if isinstance(account, User):
        if requirement is Requirement.TERMS:
            terms.accept(account, token_request.terms_version, Actor(client).by(proof.method))
            requirement = policy.next_requirement(account, proofs)
        _require_next_step(account, requirement, proofs, token_request)
    return _begin(_cleared(account, requirement), proofs, token_request, client)


def sign_in_again(
    secret: str,
    response: FactorResponse,
    client: ClientInfo,
    kind: LoginSession.Kind = LoginSession.Kind.API,
    *,
    terms_version: str = "",
) -> Tokens:
    """Complete the sign-in that issued the challenge ``secret``, and return the tokens.

    ``response``: a code, or the response of a passkey.
    ``terms_version``: the version of the terms that the person accepts; empty for none.

    Raises:
        TermsRequired: the person has not accepted the current terms. The code stays valid.
        InvalidChallenge: the challenge is unknown, used, expired or has no attempts left.
        WrongFactorCode, WrongPasskey: the response is wrong.
        EnrolmentRequired: the account accepts only a passkey, or must add a factor. In the second
            case, the error contains the challenge for that.
        DeletionRequested: the account will be deleted.
        RateLimited: there were too many guesses.
    """
    signatures.be_ready()
    challenge = token_challenges.get_challenge(secret, kind)
    user, first = challenge.user, token_challenges.proofs(challenge)
    must_accept = _take_try(challenge, terms_version)
    proof = second_proof(user, first, response, Actor(client), nonce=challenge.nonce)
    proofs = (*first, proof)
    if must_accept:
        terms.accept(user, terms_version, Actor(client).by(*(proof.method for proof in proofs)))
    token_request = _request_of(challenge)
    requirement = policy.next_requirement(user, proofs)
    if requirement in ADDING:
        token_challenges.consume(challenge)
        _require_next_step(user, requirement, proofs, token_request)
    _cleared(user, requirement)
    with transaction.atomic():
        token_challenges.consume(challenge)
        return _begin(user, proofs, token_request, client)


def _take_try(challenge: TokenChallenge, terms_version: str) -> bool:
    """Count an attempt at ``challenge``; return whether the person must accept the terms now."""
    if must_accept := terms.must_accept(challenge.user):
        terms.check(terms_version)
    token_challenges.take_try(challenge)
    return must_accept


def _request_of(challenge: TokenChallenge) -> TokenRequest:
    kind = LoginSession.Kind(challenge.kind)
    return TokenRequest(challenge.audience, frozenset(challenge.scope.split()), kind)


def find_enrolling(secret: str) -> User:
    """Return the user who may add a second factor with the challenge ``secret``.

    Raises:
        InvalidChallenge: the challenge is unknown, used or expired, or is for another step.
    """
    return _enrolment_of(secret).user


def _enrolment_of(secret: str) -> TokenChallenge:
    challenge = token_challenges.get_challenge(secret, LoginSession.Kind.API)
    proofs = token_challenges.proofs(challenge)
    if policy.next_requirement(challenge.user, proofs) not in ADDING:
        raise InvalidChallenge
    return challenge


def sign_in_by_enrolment(
    secret: str, add: Callable[[User], Proof], client: ClientInfo, *, terms_version: str = ""
) -> Tokens:
    """Add a second factor with the challenge ``secret``, and return the tokens of the sign-in.

    ``add``: adds the factor to the user in a transaction, and returns the proof that the person has
        it.
    ``terms_version``: the version of the terms that the person accepts; empty for none.

    Raises:
        InvalidChallenge: see :func:`find_enrolling`; or no attempts are left.
        EnrolmentRequired: the factor must be a passkey.
        TermsRequired, DeletionRequested: as for :func:`sign_in_again`. No factor is added.
        PublicError: any error of ``add``.
    """
    signatures.be_ready()
    challenge = _enrolment_of(secret)
    user, first = challenge.user, token_challenges.proofs(challenge)
    must_accept = _take_try(challenge, terms_version)
    with transaction.atomic():
        token_challenges.consume(challenge)
        proofs = (*first, add(user))
        if proofs[-1].method is not Method.PASSKEY and policy.must_enrol_passkey(user, first):
            raise EnrolmentRequired
        if must_accept:
            terms.accept(user, terms_version, Actor(client).by(*(proof.method for proof in proofs)))
        _cleared(user, policy.next_requirement(user, proofs))
        return _begin(user, proofs, _request_of(challenge), client)


def mail_code(
    secret: str, client: ClientInfo, kind: LoginSession.Kind = LoginSession.Kind.API
) -> None:
    """Email a code for the second step of the sign-in with the challenge ``secret``.

    Raises:
        InvalidChallenge: the challenge is unknown, used or expired.
        NoMail: emailed codes are not accepted in this sign-in.
        RateLimited: too many emails were requested.
    """
    challenge = token_challenges.get_challenge(secret, kind)
    if SecondMethod.EMAIL not in methods_of(challenge.user, token_challenges.proofs(challenge)):
        raise second_step.NoMail
    token_challenges.mail_code(challenge, client)


def issue_to_page(here: LoginSession, client: ClientInfo) -> AccessToken:
    """Return an access token for a page of this site, in a session that ends with the token.

    ``here``: the session of the browser, with recent authentication. The token ends with it.

    Raises:
        RateLimited: this session has requested too many tokens.
        CannotSign: the signing key cannot be decrypted.
    """
    signatures.be_ready()
    hit(EXCHANGE_SESSION.of(here.pk))
    ends_at = clock.now() + timedelta(seconds=settings.AUTHSITE.access_token_seconds)
    session = LoginSession(
        **sessions.inherited(here),
        **sessions.of_page(here),
        scope=scopes.written(scopes.DEFAULT),
        idle_at=min(ends_at, here.ends_at),
        ends_at=min(ends_at, here.ends_at),
    )
    actor = Actor(client, session=session.pk).by(*session.amr)
    with transaction.atomic():
        sessions.lock(here.pk)
        sessions.insert.run(session)
        record(session.user, events.CLIENT_SIGNED_IN, actor)
        sessions.make_room(session.user, session, actor)
    return AccessToken.issue(session, settings.AUTHSITE.origin, scopes.DEFAULT)


def renew(token: str, token_request: TokenRequest, client: ClientInfo) -> Tokens | None:
    """Exchange the newest refresh token of a session for a new access and a new refresh token.

    If ``token`` is not the newest one of a live session, change nothing and return None. The caller
    then passes it to :func:`repeat`.

    Raises:
        UnknownScope: the session does not cover the requested scope.
        CannotSign: the signing key cannot be decrypted.
    """
    signatures.be_ready()
    # A refused scope must not use up the refresh token.
    with transaction.atomic() if token_request.scope else nullcontext():
        rotated = families.rotate(token, client, token_request.kind)
        return _renewed(*rotated, token_request) if rotated else None


def repeat(token: str, token_request: TokenRequest, client: ClientInfo) -> Tokens:
    """Return the result of an earlier :func:`renew` again, for a client that did not receive it.

    Raises:
        InvalidToken: the refresh token is not valid.
        TokenReused: the refresh token was used before; its family is now revoked.
        UnknownScope: the session does not cover the requested scope.
    """
    return _renewed(*families.repeat(token, client, token_request.kind), token_request)


def _renewed(session: LoginSession, follower: str, token_request: TokenRequest) -> Tokens:
    held, audience = session.scope.split(), token_request.audience
    scope = scopes.narrowed(held, token_request.scope, audience)
    return Tokens(AccessToken.issue(session, audience, scope), session, follower)


def exchange(
    held: AccessToken, session: LoginSession, token_request: TokenRequest, client: ClientInfo
) -> Tokens:
    """Return a new access token for the session and audience of the access token ``held``.

    The new token can be exchanged again, until ``EXCHANGE_SECONDS`` after the first token of the
    chain was issued. Otherwise a thief could renew a stolen token for as long as its session lives.
    Each exchange is recorded. Pages in a browser and connected apps cannot exchange their tokens.

    Raises:
        InvalidToken: the chain has ended, or the token belongs to such a page or app.
        UnknownService: the requested audience is not the audience of ``held``.
        UnknownScope: the requested scope exceeds the scope of ``held``.
        RateLimited: this session has exchanged too many tokens.
    """
    if session.kind != LoginSession.Kind.API:
        raise InvalidToken
    if clock.now().timestamp() >= held.first_at + settings.AUTHSITE.seconds_to_exchange:
        raise InvalidToken
    if token_request.audience != held["aud"]:
        raise UnknownService
    scope = scopes.narrowed(held.scope, token_request.scope, token_request.audience)
    signatures.be_ready()
    hit(EXCHANGE_SESSION.of(session.pk))
    record(session.user, events.TOKEN_EXCHANGED, Actor(client, session=session.pk))
    fresh = AccessToken.issue(session, token_request.audience, scope, first_at=held.first_at)
    return Tokens(fresh, session)


def verified(
    text: str,
    audiences: tuple[str, ...] | None = None,
    *,
    tells_expired: bool = False,
    key: str | None = "",
) -> AccessToken:
    """Verify the access token ``text`` without looking up its session, and return it.

    ``audiences``: the accepted audiences. The default is only this site.
    ``key``: the thumbprint of the key to which the token must be bound; "" for none, None for any.

    Raises:
        TokenExpired: the token is genuine but has expired, and ``tells_expired`` is set.
        InvalidToken: the token is not valid.
    """
    try:
        token = AccessToken(text, audiences=audiences)
    except TokenError as error:
        if tells_expired and isinstance(error, ExpiredTokenError):
            raise TokenExpired from None
        raise InvalidToken from None
    if key not in {None, token.key}:
        raise InvalidToken
    return token


def read(
    text: str, audiences: tuple[str, ...] | None = None, **options: Any
) -> tuple[AccessToken, LoginSession]:
    """Return the access token ``text``, verified as by :func:`verified`, and its live session.

    ``audiences``, ``options``: the arguments for :func:`verified`.

    Raises:
        InvalidToken: the token is not valid, or its session has ended.
        TokenExpired: the token is genuine but has expired, and ``tells_expired`` is set.
    """
    token = verified(text, audiences, **options)
    session = families.find_family(**token.owner)
    if session is None:
        raise InvalidToken
    return token, session


def claims(text: str, audience: str = "") -> Mapping[str, Any]:
    """Return the claims of an access token for this site or for a service in ``TOKEN_AUDIENCES``.

    ``audience``: the only accepted service; empty for any.

    Raises:
        InvalidToken: the token is not valid or for another service, its session has ended, or
            it was issued to a connected app.
    """
    token, session = read(text, (settings.AUTHSITE.origin, *settings.AUTHSITE.token_audiences))
    if session.is_app or audience not in {"", token["aud"]}:
        raise InvalidToken
    return token.payload


def revoke(text: str, client: ClientInfo) -> None:
    """Revoke the session of the access token or refresh token ``text`` (RFC 7009 section 2).

    An expired access token also revokes its session, so that a client can sign out late. An access
    token for another service revokes nothing, because that service knows the token, too. A token of
    a connected app revokes nothing either, because apps use ``/oauth/revoke``.
    """
    session = families.of(text) or family_of_access(text)
    if session is not None and not session.is_app:
        actor = Actor(client, session=session.pk)
        sessions.revoke(session, reason=events.CLIENT_SIGNED_OUT, actor=actor)


def family_of_access(text: str, audiences: tuple[str, ...] | None = None) -> LoginSession | None:
    """Return the live session of the access token ``text``, or None if there is none.

    The token may have expired, but must be valid otherwise.

    ``audiences``: the audiences to accept. The default is only this site.
    """
    try:
        token = AccessToken(text, audiences=audiences, takes_expired=True)
    except TokenError:
        return None
    return families.find_family(**token.owner)


def authenticate_by_password(login: str, password: str, client: ClientInfo) -> User:
    """Return the user of an API request that authenticates only with a password.

    The first request from each network on each day is recorded as a sign-in, and the owner is
    notified if the network or the client is new.

    Raises:
        SecondFactorRequired: the account requires a second factor; no challenge is issued.
        PublicError: any other error that :func:`sign_in` raises.
    """
    account = _verify_password(login, password, client)
    user = _cleared(account, policy.next_requirement(account, (Proof.now(Method.PASSWORD),)))
    _record_call(user, client)
    return user


def _record_call(user: User, client: ClientInfo) -> None:
    """Record a call of ``client`` with the password, once for each network and day (UTC)."""
    source = f"password {client.network} {clock.now().date()}"
    # Most calls are not the first ones of their day, and need no transaction.
    if find_record(user.pk, source):
        return
    with transaction.atomic():
        if remember_once(user.pk, source):
            event = known_browsers.note_client(client, user)
            record(user, event, Actor(client).by(Method.PASSWORD))


def _verify_password(login: str, password: str, client: ClientInfo) -> User | PendingSignup:
    """Return the account of ``login`` if ``password`` is right and need not be replaced."""
    account, must_replace = verify_password(login, password, client)
    if isinstance(account, User) and must_replace:
        failed, why = events.SIGN_IN_FAILED, Failure.COMPROMISED
        record_once_an_hour(account, failed, Actor(client), why)
        raise PasswordCompromised
    return account


# Every other requirement can only be met on the pages of the site.
REFUSALS: dict[Requirement, type[PublicError]] = {
    Requirement.EMAIL: EmailNotVerified,
    Requirement.SECOND_FACTOR: SecondFactorRequired,
    Requirement.TERMS: terms.TermsRequired,
    Requirement.KEEP_ACCOUNT: DeletionRequested,
}


def _cleared(account: User | PendingSignup, requirement: Requirement | None) -> User:
    """Return ``account`` if ``requirement`` is None.

    Raises:
        PublicError: the error for the requirement.
    """
    if requirement is not None or not isinstance(account, User):
        raise REFUSALS.get(requirement or Requirement.EMAIL, EnrolmentRequired)
    return account


# A challenge is for the second step, or for adding a factor. Pages in a browser cannot add one by
# the API.
PROVING = (Requirement.SECOND_FACTOR, Requirement.MAILBOX)
ADDING = (Requirement.ENROLMENT, Requirement.PASSKEY)


def _require_next_step(
    user: User,
    requirement: Requirement | None,
    proofs: tuple[Proof, ...],
    token_request: TokenRequest,
) -> None:
    """If an API client can meet ``requirement``, raise the error with a new challenge."""
    is_adding = requirement in ADDING and token_request.kind is LoginSession.Kind.API
    if not (is_adding or requirement in PROVING):
        return
    scope = scopes.written(token_request.scope or scopes.DEFAULT)
    secret = token_challenges.issue(
        user, proofs, audience=token_request.audience, scope=scope, kind=token_request.kind
    )
    if is_adding:
        must_be_passkey = requirement is Requirement.PASSKEY or policy.must_enrol_passkey(
            user, proofs
        )
        addable = [SecondMethod.PASSKEY] if must_be_passkey else [*SecondMethod][:2]
        raise EnrolmentRequired(challenge=secret, methods=addable)
    raise second_factor_required(user, proofs, challenge=secret)


def _begin(
    user: User, proofs: tuple[Proof, ...], token_request: TokenRequest, client: ClientInfo
) -> Tokens:
    scope = token_request.scope or scopes.DEFAULT
    session = sessions.new_api_session(
        user, proofs, client, kind=token_request.kind, scope=scopes.written(scope)
    )
    token = families.first_token(session.pk)
    session.refresh_digest = secrets.plain_digest(token)
    try:
        establish_api_session(CompletedSignIn(user, proofs), session, client)
    except AccountChanged:
        raise InvalidCredentials from None
    return Tokens(AccessToken.issue(session, token_request.audience, scope), session, token)

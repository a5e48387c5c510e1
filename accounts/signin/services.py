"""Checks a login and a password.

Neither the result for a wrong password nor the time that it takes reveals whether an account
exists.
"""

from typing import Any, NamedTuple

from django.contrib.auth.backends import ModelBackend
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import known_browsers
from accounts.sessions import services as sessions
from accounts.sessions.models import KnownBrowser, LoginSession
from accounts.signin import policy
from accounts.throttle.limits import (
    LOGIN_EVERYONE,
    LOGIN_NAME,
    LOGIN_NETWORK,
    LOGIN_REPEAT,
    LOGIN_SUBSCRIBER,
    REAUTHENTICATION,
    Budget,
)
from accounts.throttle.services import around, check, give_back, hit
from accounts.twofactor import passkeys, verification
from accounts.users import services as users
from accounts.users.models import PendingSignup, User


class InvalidCredentials(PublicError):
    """The account is unknown, or the password is wrong or unusable.

    The error does not reveal which of these is the reason.
    """

    code = "invalid_credentials"
    status = 401
    message = _("The username, email address or password isn’t right.")


class LockedAccountPassword(InvalidCredentials):
    """The typed password is the former password of a locked account.

    The former password is the one that counts as a proof of ownership: see
    ``accounts.recovery.rule``. In a browser, it can help to recover the account. The API
    responds as if the password were wrong.
    """

    def __init__(self, user: User) -> None:
        super().__init__()
        self.user = user


class Verified(NamedTuple):
    """The account with the verified password, and whether the password must be replaced.

    ``must_replace``: the password was leaked after it was chosen, so that an attacker can sign in
        with it, too (ASVS 6.2.12).
    """

    account: User | PendingSignup
    must_replace: bool


def verify_password(login: str, password: str, client: ClientInfo) -> Verified:
    """Return the account that ``login`` names if ``password`` is its password.

    Costs one hash whether or not the account exists, so that timing reveals nothing.

    Raises:
        InvalidCredentials: unknown account, or wrong or unusable password.
        LockedAccountPassword: the account is locked, and ``password`` is its former password.
        RateLimited: there were too many attempts, or every hashing slot is busy.
    """
    account, failure = _check_password(login, password, client)
    if failure or account is None:
        # A failure without an account is recorded too, but without the typed login, because people
        # may type passwords into the wrong field.
        user = account if isinstance(account, User) else None
        record(user, events.SIGN_IN_FAILED, Actor(client), detail=failure or "")
        raise InvalidCredentials
    if isinstance(account, User) and account.lock:
        record(account, events.SIGN_IN_FAILED, Actor(client), detail=Failure.LOCKED)
        raise LockedAccountPassword(account)
    return Verified(account, passwords.is_compromised(password))


def refuse_flood(login: str, client: ClientInfo) -> None:
    """Raise the error that :func:`verify_password` would raise after too many attempts.

    Nothing is counted. Do nothing for a browser with a known-browser cookie, whose limits depend on
    the account.

    Raises:
        RateLimited: there were too many attempts with this login or from this network.
    """
    if not client.known_cookie:
        key = users.login_key(login)
        check(*around(LOGIN_REPEAT, client, key), *_of_stranger(key, client))


class NotAccepted(PublicError):
    """The authentication policy does not accept this method of reauthentication."""

    code = "not_accepted"
    status = 403
    message = _("Choose another way to confirm that it’s you.")


def reauthenticate(session: LoginSession, client: ClientInfo, **shown: str) -> Proof:
    """Return the proof that the user of ``session`` has shown to an API client.

    ``shown``: a ``password``, a ``code`` of a second factor, or a ``credential``, which is the
        response of a passkey (JSON).

    Raises:
        NotAccepted: the user must show another proof.
        InvalidCredentials, WrongFactorCode, WrongPasskey: the proof is wrong.
        RateLimited: there were too many guesses in this session.
    """
    methods, actor = policy.reauthentication_methods(session), Actor(client, session=session.pk)
    if methods.passkey and "credential" in shown:
        return passkeys.verify(session.user, shown["credential"], actor)
    if methods.code and "code" in shown:
        return verification.verify(session.user, shown["code"], actor)
    if methods.password and "password" in shown:
        return reverify_password(session, shown["password"], client)
    raise NotAccepted


def reverify_password(session: LoginSession, password: str, client: ClientInfo) -> Proof:
    """Return the proof that the signed-in user of ``session`` knows the password.

    Guesses are counted only for the session.

    Raises:
        InvalidCredentials: the password is wrong.
        RateLimited: there were too many guesses in this session.
    """
    guess = REAUTHENTICATION.of(session.pk)
    hit(guess, LOGIN_REPEAT.of(session.pk))
    if not passwords.verify(password, session.user.password):
        sessions.record_failed_reauthentication(session.user, Actor(client, session=session.pk))
        raise InvalidCredentials
    give_back(guess)
    return Proof.now(Method.PASSWORD)


def _check_password(
    login: str, password: str, client: ClientInfo
) -> tuple[User | PendingSignup | None, Failure | None]:
    """Return the account that ``login`` names, if any, and the reason why ``password`` is refused.

    The reason is None if the password is right.
    """
    key = users.login_key(login)
    # ``repeat`` is never given back, because a successful sign-in also costs a hash.
    repeat = around(LOGIN_REPEAT, client, key)
    guess = _of_stranger(key, client)
    account = users.find_by_login(login)
    browser = known_browsers.find_browser(client, account)
    if browser:
        guess = budgets_of_browser(browser)
    of_account = [] if browser else _of_account(account.pk if account else key, client)
    # If the limits of the account are used up, every password counts as wrong. A refusal would
    # reveal which logins belong to the same account.
    is_checked = hit(*repeat, *guess, silent=of_account)
    encoded = _encoded(account)
    # The hash is computed even if its result does not count. Otherwise the response time would
    # reveal that the limits of an account are used up, and so that it exists.
    is_right = passwords.verify(password, encoded, login=key)
    if not (is_right and is_checked) or account is None:
        return account, _failure(account, is_checked=is_checked)
    give_back(*guess, *of_account)
    if account.password != encoded:
        # ``encoded`` is the hash of the former password of a locked account (see ``_encoded``),
        # with which nobody gets a session. Only the present password is hashed anew.
        return account, None
    if isinstance(account, User) and passwords.is_outdated(account.password):
        renew_hash(account, password)
    return account, None


def _failure(account: User | PendingSignup | None, *, is_checked: bool) -> Failure:
    if isinstance(account, User) and account.is_locked_down:
        return Failure.LOCKED
    return Failure.PASSWORD if is_checked else Failure.UNCHECKED


def _of_stranger(key: str, client: ClientInfo) -> list[Budget]:
    """Return the rate limits of an attempt in a browser that is not known to the account.

    These limits count by typed login, not by account. Otherwise attempts with a username would use
    up the limits of an email address, which would reveal that both belong to one account.
    """
    of_login = [LOGIN_SUBSCRIBER.of(key, client.wide_network), LOGIN_NAME.of(key)]
    return [*around(LOGIN_NETWORK, client), *of_login, LOGIN_EVERYONE.of()]


def _of_account(subject: object, client: ClientInfo) -> list[Budget]:
    """Return the rate limits that count for the account, regardless of the typed login."""
    of_line = LOGIN_SUBSCRIBER.of("account", subject, client.wide_network)
    return [of_line, LOGIN_NAME.of("account", subject)]


def budgets_of_browser(browser: KnownBrowser) -> list[Budget]:
    """Return the rate limits of a password check in a known browser."""
    return [LOGIN_SUBSCRIBER.of(browser.user_id, browser.pk)]


def budgets_of_password(user: User, client: ClientInfo, logins: list[str]) -> list[Budget]:
    """Return the rate limits of a password check for ``user`` in an unknown browser.

    ``logins``: the canonical forms of the username and of every email address of ``user``.
    """
    of_logins = [
        budget
        for key in logins
        for budget in (*around(LOGIN_REPEAT, client, key), *_of_stranger(key, client))
    ]
    return [*of_logins, *_of_account(user.pk, client)]


def _encoded(account: User | PendingSignup | None) -> str | None:
    """Return the password hash with which a typed password is compared.

    For a locked account, this is the hash of the password before the first wrong change.
    """
    if isinstance(account, User) and account.lock:
        return account.former_hash
    return account.password if account else None


def renew_hash(user: User, password: str) -> None:
    """Hash the verified ``password`` again with the current parameters (ASVS 11.4.2)."""
    before = user.password
    user.password = passwords.hash_password(password)
    User.objects.filter(pk=user.pk, password=before).update(password=user.password)


def keep_next(account: User | PendingSignup, next_url: str) -> None:
    """Store ``next_url`` in a pending sign-up, so that the page opens after the confirmation.

    Do nothing if ``account`` is a user or ``next_url`` is empty.
    """
    if isinstance(account, PendingSignup) and next_url:
        PendingSignup.objects.filter(pk=account.pk).update(next=next_url)


class LoadOnlyBackend(ModelBackend):
    """Loads users by id for sessions, and their permissions for the admin. Checks no credentials.

    Therefore ``django.contrib.auth.authenticate`` always fails. Otherwise code that calls it, such
    as the login form of Django's admin, would sign users in with only a password.
    """

    def authenticate(self, request: Any, **_credentials: Any) -> None:  # type: ignore[override]  # never a user
        """Return None, because :mod:`accounts.signin.services` checks credentials."""
        return

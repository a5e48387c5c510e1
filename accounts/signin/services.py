"""Proving who one is by password. Known, unknown, pending: the same answer and the same work."""

from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.common.proofs import Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import guesses, known_browsers
from accounts.sessions.models import LoginSession
from accounts.throttle.limits import (
    LOGIN_ACCOUNT,
    LOGIN_ACCOUNT_LINE,
    LOGIN_BROWSER,
    LOGIN_EVERYONE,
    LOGIN_LINE,
    LOGIN_NAME,
    LOGIN_NETWORK,
    LOGIN_REPEAT,
    PROOF_SESSION,
)
from accounts.throttle.services import Charge, around, give_back, spend, takes
from accounts.users import services as users
from accounts.users.models import PendingSignup, User


class InvalidCredentials(PublicError):
    """Wrong, unknown, unusable: one answer for all."""

    code = "invalid_credentials"
    status = 401
    message = _("The username, email address or password is not right.")


class LockedAccountPassword(InvalidCredentials):
    """The account is locked, and the password is the one that it had a week before.

    In a browser that is one older proof of ownership. The API answers as to a wrong password.
    """

    def __init__(self, user: User) -> None:
        super().__init__()
        self.user = user


def prove_password(login: str, password: str, client: ClientInfo) -> User | PendingSignup:
    """Return the account that ``login`` names if ``password`` is its password.

    Costs one hash whether or not there is an account.

    Raises:
        InvalidCredentials: unknown account, or wrong or unusable password.
        LockedAccountPassword: the account is locked, and this is its former password.
        Later: a budget is used up, or the site is busy.
    """
    account, is_right = _check_password(login, password, client)
    if not is_right or account is None:
        # A row for nobody, too: what was typed isn't in it, since people type passwords there.
        user = account if isinstance(account, User) else None
        record(user, events.SIGN_IN_FAILED, Actor(client))
        raise InvalidCredentials
    if isinstance(account, User) and account.is_disputed:
        record(account, events.SIGN_IN_FAILED, Actor(client))
        raise LockedAccountPassword(account)
    return account


def prove_again(session: LoginSession, password: str, client: ClientInfo) -> Proof:
    """Return the proof that the signed-in user knows the password, by which it reauthenticates.

    Wrong passwords count against a budget of the session.

    Raises:
        InvalidCredentials: wrong password.
        Later: too many guesses in this session.
    """
    charge = PROOF_SESSION, session.pk
    spend(charge, (LOGIN_REPEAT, session.pk))
    if not passwords.verify(password, session.user.password):
        guesses.record_failed_proof(session.user, Actor(client, session=session.pk))
        raise InvalidCredentials
    give_back(charge)
    return Proof.now(Method.PASSWORD)


def _check_password(
    login: str, password: str, client: ClientInfo
) -> tuple[User | PendingSignup | None, bool]:
    """Return whose ``login`` is, and whether ``password`` is theirs."""
    key = users.login_key(login)
    # Good sign-ins cost a hash each: these are not given back.
    repeat = _repeats(key, client)
    charges = _of_stranger(key, client)
    if not client.known:
        # Before any lookup, so that a flood is refused by one statement.
        spend(*repeat, *charges)
    account = users.find(login)
    browser = known_browsers.find(client, account)
    if browser:
        charges = [(LOGIN_BROWSER, browser.user_id, browser.pk)]
    if client.known:
        spend(*repeat, *charges)
    silent = [] if browser else _of_account(account.pk if account else key, client)
    # Where the account's are used up, no password is right, and nobody is told: a refusal would
    # tell whose the name is.
    is_checked = browser is not None or takes(*silent)
    encoded = _encoded(account) if is_checked else None
    if not passwords.verify(password, encoded) or account is None:
        return account, False
    give_back(*charges, *silent)
    if account.password != encoded:
        # The former password of a locked account signs nobody in: rehash nothing.
        return account, True
    if isinstance(account, User) and passwords.is_outdated(account.password):
        renew_hash(account, password)
    return account, True


def _repeats(key: str, client: ClientInfo) -> list[Charge]:
    """Return what any try costs: a line of many networks gets no hashes without end."""
    return [(LOGIN_REPEAT.times(weight), key, network) for network, weight in client.networks]


def _of_stranger(key: str, client: ClientInfo) -> list[Charge]:
    """Return what a guess costs in a browser that the account does not know. Refusals are told.

    Counted by what was typed, never by account: that would tell which names and addresses belong
    together, and so which exist.
    """
    mine = around(LOGIN_NETWORK, client)
    return [*mine, (LOGIN_LINE, key, client.wide_network), (LOGIN_NAME, key), (LOGIN_EVERYONE,)]


def _of_account(subject: object, client: ClientInfo) -> list[Charge]:
    """Return what a guess costs the account, whichever of its names and addresses was typed."""
    return [(LOGIN_ACCOUNT_LINE, subject, client.wide_network), (LOGIN_ACCOUNT, subject)]


def _encoded(account: User | PendingSignup | None) -> str | None:
    """Return the hash to verify against: for a locked account, the former password's."""
    if isinstance(account, User) and account.is_disputed:
        return account.former_hash
    return account.password if account else None


def renew_hash(user: User, password: str) -> None:
    """Hash the same password anew, with today's parameters (ASVS 11.4.2)."""
    before = user.password
    user.password = passwords.hash_password(password)
    User.objects.filter(pk=user.pk, password=before).update(password=user.password)


def keep_next(account: User | PendingSignup, next_url: str) -> None:
    """Keep the page that a pending sign-up wanted to open, for after its confirmation.

    Do nothing for a user, or without such a page.
    """
    if isinstance(account, PendingSignup) and next_url:
        PendingSignup.objects.filter(pk=account.pk).update(next=next_url)

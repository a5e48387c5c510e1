"""Proving who one is by password. Known, unknown, pending: the same answer and the same work."""

from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Source, record
from accounts.kernel.errors import PublicError
from accounts.kernel.places import Place
from accounts.passwords import services as passwords
from accounts.sessions import guesses
from accounts.sessions.models import LoginSession
from accounts.throttle import familiar
from accounts.throttle.limits import (
    LOGIN_ACCOUNT,
    LOGIN_EVERYONE,
    LOGIN_FAMILIAR,
    LOGIN_NETWORK,
    PROOF_SESSION,
)
from accounts.throttle.services import Charge, around, give_back, spend
from accounts.users import services as users
from accounts.users.models import PendingSignup, User


class InvalidCredentials(PublicError):
    """Wrong, unknown, unusable: one answer for all."""

    code = "invalid_credentials"
    status = 401
    message = _("The username, email address or password is not right.")


class AccountLocked(InvalidCredentials):
    """The account is locked, and the password is the one that it had a week before.

    In a browser that is one older proof of ownership. The API answers as to a wrong password.
    """

    def __init__(self, user: User) -> None:
        super().__init__()
        self.user = user


def prove_password(login: str, password: str, place: Place) -> User | PendingSignup:
    """Whose name or address ``login`` is, once ``password`` is found to be theirs.

    ``place`` is where the request comes from. One hash, whoever asks.
    :class:`InvalidCredentials`, :class:`AccountLocked`, or ``Later`` when a budget is used up or
    the site is busy.
    """
    account, is_right = _check_password(login, password, place)
    if not is_right or account is None:
        # A row for nobody, too: what was typed isn't in it, since people type passwords there.
        user = account if isinstance(account, User) else None
        record(user, events.SIGN_IN_FAILED, Source(place))
        raise InvalidCredentials
    if isinstance(account, User) and account.is_disputed:
        record(account, events.SIGN_IN_FAILED, Source(place))
        raise AccountLocked(account)
    return account


def prove_again(login: LoginSession, password: str, place: Place) -> None:
    """That who is signed in knows the password. The budget is the login session's own.

    :class:`InvalidCredentials`, ``Later``.
    """
    spend(*around(LOGIN_NETWORK, place))
    charge = PROOF_SESSION, login.pk
    spend(charge)
    if not passwords.verify(password, login.user.password):
        guesses.record_failed_proof(login.user, Source(place, session=login.pk))
        raise InvalidCredentials
    give_back(charge)


def _check_password(
    login: str, password: str, place: Place
) -> tuple[User | PendingSignup | None, bool]:
    """Whose ``login`` is, and whether ``password`` is theirs."""
    spend(*around(LOGIN_NETWORK, place))
    account = users.find(login)
    key = users.login_key(login)
    subject = account.pk if account else key
    noted = familiar.find(subject, place.network)
    charge = _charge_account(key, place.network, is_familiar=noted is not None)
    encoded = _encoded(account)
    if not passwords.verify(password, encoded) or account is None:
        return account, False
    give_back(charge)
    if account.password != encoded:
        # The former password of a locked account signs nobody in: remember and rehash nothing.
        return account, True
    familiar.remember(subject, place.network, noted)
    if isinstance(account, User) and passwords.is_outdated(account.password):
        renew_hash(account, password)
    return account, True


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


def _charge_account(login_key: str, network: str, *, is_familiar: bool) -> Charge:
    """Spend what a guess at one account costs, and say what a success gives back.

    Each name and address has its own budget: one for the account would tell which of them belong
    together, and so which exist. So has each place that the account was signed in to from: guesses
    from elsewhere, and crowds at the door, don't keep its owner out.
    """
    if is_familiar:
        spend((LOGIN_FAMILIAR, login_key, network))
        return LOGIN_FAMILIAR, login_key, network
    spend((LOGIN_ACCOUNT, login_key), (LOGIN_EVERYONE,))
    return LOGIN_ACCOUNT, login_key


def keep_next(signup: PendingSignup, next_url: str) -> None:
    """Keep where a waiting person wanted to go, for after the confirmation."""
    PendingSignup.objects.filter(pk=signup.pk).update(next=next_url)

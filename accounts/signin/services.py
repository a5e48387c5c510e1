"""Proving who one is by password. Known, unknown, pending: the same answer and the same work."""

from django.utils.translation import gettext_lazy as _

from accounts.kernel.errors import PublicError
from accounts.kernel.text import fold
from accounts.passwords import services as passwords
from accounts.throttle import familiar
from accounts.throttle.limits import (
    LOGIN_ACCOUNT,
    LOGIN_EVERYONE,
    LOGIN_FAMILIAR,
    LOGIN_SUBSCRIBER,
    Limit,
)
from accounts.throttle.services import give_back, spend
from accounts.users import services as users
from accounts.users.models import PendingSignup, User


class InvalidCredentials(PublicError):
    """Wrong, unknown, unusable: one answer for all."""

    code = "invalid_credentials"
    status = 401
    message = _("The username, email address or password is not right.")


def prove_password(login: str, password: str, subscriber: str) -> User | PendingSignup:
    """Whose name or address ``login`` is, once ``password`` is found to be theirs.

    ``subscriber`` is where the request comes from, as the limits count it. One hash, whoever
    asks. :class:`InvalidCredentials`, or ``Later`` when a budget is used up or the site is busy.
    """
    spend(LOGIN_SUBSCRIBER, subscriber)
    account = users.find(login)
    subject = account.pk if account else fold(login)
    spent = _spend_account(subject, subscriber)
    if not passwords.verify(password, account.password if account else None) or account is None:
        raise InvalidCredentials
    give_back(*spent)
    give_back(LOGIN_SUBSCRIBER, subscriber)
    familiar.remember(subject, subscriber)
    if isinstance(account, User) and passwords.is_outdated(account.password):
        renew_hash(account, password)
    return account


def renew_hash(user: User, password: str) -> None:
    """Hash the same password anew, with today's parameters (ASVS 11.4.2)."""
    before = user.password
    user.password = passwords.hash_password(password)
    User.objects.filter(pk=user.pk, password=before).update(password=user.password)


def _spend_account(subject: object, subscriber: str) -> tuple[Limit, *tuple[object, ...]]:
    """Spend what guesses at one account cost, and say what was spent.

    A place that it was signed in to from has a budget of its own: guesses from elsewhere, and
    crowds at the door, don't keep its owner out.
    """
    if familiar.is_familiar(subject, subscriber):
        spend(LOGIN_FAMILIAR, subject, subscriber)
        return LOGIN_FAMILIAR, subject, subscriber
    spend(LOGIN_ACCOUNT, subject)
    spend(LOGIN_EVERYONE)
    return LOGIN_ACCOUNT, subject


def keep_next(signup: PendingSignup, next_url: str) -> None:
    """Keep where a waiting person wanted to go, for after the confirmation."""
    PendingSignup.objects.filter(pk=signup.pk).update(next=next_url)

"""Which proofs confirm a sign-up, and with which proofs the new account signs in."""

from django.contrib.auth.hashers import is_password_usable

from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.signup.services import LIFE
from accounts.twofactor import services as twofactor
from accounts.users.models import PendingSignup, User


def has_password(signup: PendingSignup) -> bool:
    """Return whether the sign-up has a password; without one, only its own browser confirms it."""
    return is_password_usable(signup.password)


def prove_here(signup: PendingSignup) -> Proof:
    """Return the proof of the password in the browser that has signed up.

    The password was typed there, at the earliest when the sign-up began.
    """
    return Proof(Method.PASSWORD, signup.expires_at - LIFE)


def prove_elsewhere(signup: PendingSignup, password: str, client: ClientInfo) -> Proof:
    """Return the proof that ``password`` is the sign-up's, in a browser that has not signed up.

    It spends the same budgets as a sign-in, so that the mailed link does not avoid the limits.

    Raises:
        InvalidCredentials: wrong password, or a sign-up without one.
        RateLimited: a budget is used up, or the site is busy.
    """
    account = verify_password(signup.username, password, client)
    if account.pk != signup.pk:
        raise InvalidCredentials
    return Proof.now(Method.PASSWORD)


def proofs_of(signup: PendingSignup, password: Proof) -> tuple[Proof, ...]:
    """Return the proofs with which the user that ``signup`` has become signs in.

    Its mailbox was shown by the mailed code or link. Without a password the mailbox is all that
    was shown, whatever ``password`` says.
    """
    mailbox = Proof.now(Method.MAIL)
    return (password, mailbox) if has_password(signup) else (mailbox,)


def adds_passkey(signup: PendingSignup, user: User) -> bool:
    """Return whether the user that ``signup`` has become is led to add a passkey after signing in.

    Without a password nothing but the mailbox opens the account until then. Where a second factor
    is required, the sign-in flow leads there by itself.
    """
    return not has_password(signup) and not twofactor.is_required(user)

"""Decides what a person must show to confirm a sign-up, and which proofs the first sign-in has."""

from urllib.parse import urlencode

from django.contrib.auth.hashers import is_password_usable
from django.urls import reverse

from accounts.common.client_info import ClientInfo
from accounts.common.proofs import Method, Proof
from accounts.signin.services import InvalidCredentials, verify_password
from accounts.signup.services import LIFE
from accounts.twofactor import services as twofactor
from accounts.users.models import PendingSignup, User


def has_password(signup: PendingSignup) -> bool:
    """Return whether the sign-up has a password.

    Without a password, the emailed link works only in the browser that signed up.
    """
    return is_password_usable(signup.password)


def prove_here(signup: PendingSignup) -> Proof:
    """Return the proof of the password for the browser in which it was typed at the sign-up.

    The time of the proof is the start of the sign-up, because the password was not typed earlier.
    """
    return Proof(Method.PASSWORD, signup.expires_at - LIFE)


def prove_elsewhere(signup: PendingSignup, password: str, client: ClientInfo) -> Proof:
    """Return a proof if ``password`` is the password that was chosen at the sign-up.

    Call this if the emailed link was opened in a browser that did not sign up. A guess counts
    towards the same rate limits as a guess on the sign-in page.

    Raises:
        InvalidCredentials: the password is wrong, or the sign-up has no password.
        RateLimited: there were too many guesses, or the site is busy.
    """
    account = verify_password(signup.username, password, client).account
    if account.pk != signup.pk:
        raise InvalidCredentials
    return Proof.now(Method.PASSWORD)


def proofs_of(signup: PendingSignup, password: Proof) -> tuple[Proof, ...]:
    """Return the proofs of the first sign-in, after ``signup`` was confirmed.

    The emailed code or link proves access to the mailbox. ``password`` is the proof of the
    password, which is ignored if the sign-up has no password.
    """
    mailbox = Proof.now(Method.MAIL)
    return (password, mailbox) if has_password(signup) else (mailbox,)


def passkey_page(user: User, next_url: str = "") -> str:
    """Return the page that opens after the first sign-in of ``user``, who has no password.

    It is the page to add a passkey, because until then the mailbox alone gives access to the
    account. If a second factor is required, it is ``next_url``, because the sign-in flow already
    asks for a factor. ``next_url`` also opens after the passkey was added.
    """
    if twofactor.is_required(user):
        return next_url
    query = f"?{urlencode({'next': next_url})}" if next_url else ""
    return reverse("passkey_add") + query

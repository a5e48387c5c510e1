"""The one judge of a sign-in: what is still missing, or whether it's refused."""

from enum import Enum

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.identities import services as identities
from accounts.kernel.errors import PublicError
from accounts.kernel.issuers import Issuer
from accounts.kernel.proofs import FACTORS, Assurance, Method, Proof
from accounts.sessions.models import LoginSession
from accounts.twofactor import services as twofactor
from accounts.users.models import PendingSignup, User


class Missing(Enum):
    """What must still be shown before anyone is admitted."""

    CREDENTIAL = "credential"
    ADDRESS = "address"
    SECOND_FACTOR = "second_factor"
    ENROLMENT = "enrolment"
    PASSKEY = "passkey"


class AccountInactive(PublicError):
    """The account was switched off. Said only to who has proved to own it."""

    code = "account_inactive"
    status = 403
    message = _("This account has been switched off.")


def missing(account: User | PendingSignup, proofs: tuple[Proof, ...]) -> Missing | None:
    """What ``account`` has yet to show beyond ``proofs``; None: let it in.

    :class:`AccountInactive` when nothing that it could show would do.
    """
    if not proofs:
        return Missing.CREDENTIAL
    if isinstance(account, PendingSignup):
        return Missing.ADDRESS
    if not account.is_active:
        raise AccountInactive
    if not twofactor.has_any(account):
        return Missing.ENROLMENT if twofactor.is_required(account) else None
    if not _is_second_shown(account, proofs):
        return Missing.SECOND_FACTOR
    return Missing.PASSKEY if _lacks_passkey(account, proofs) else None


def takes_mail(user: User, proofs: tuple[Proof, ...]) -> bool:
    """Whether a mailed code will do as the second step after ``proofs``.

    Not after a first step that came by mail: a mailbox alone would be enough. Never for staff.
    """
    is_staff = user.is_staff or user.is_superuser
    return not is_staff and proofs[0].method is Method.PASSWORD


def suffices(login: LoginSession) -> bool:
    """Whether a sign-in has shown what staff, or everybody, must have to enter the admin.

    One from before a person became staff, or from before the setting, has not.
    """
    if needs_passkey(login.user) and Method.PASSKEY not in login.amr:
        return False
    return login.acr is Assurance.TWO_STEPS or not twofactor.is_required(login.user)


def wants_factor_again(login: LoginSession, *, is_risky: bool) -> bool:
    """Whether only a second factor proves again who is signed in.

    ``is_risky``: a copied cookie and a first step alone would be a way round it.
    """
    return twofactor.has_any(login.user) and (is_risky or not suffices(login))


def provers(user: User) -> list[Issuer]:
    """The providers that may prove again who ``user`` is.

    Those that say when people have signed in there. The others would only show that a browser is
    still signed in: they will do for accounts that have nothing better.
    """
    held = {identity.issuer for identity in identities.of(user)}
    known = [issuer for issuer in settings.AUTHSITE.issuers if issuer.issuer in held]
    telling = [issuer for issuer in known if issuer.tells_when]
    has_better = telling or user.has_usable_password() or twofactor.has_any(user)
    return telling if has_better else known


def _is_second_shown(user: User, proofs: tuple[Proof, ...]) -> bool:
    """A passkey that has signed in by itself has verified its user: both steps at once."""
    if proofs[0].method is Method.PASSKEY:
        return True
    later = {proof.method for proof in proofs[1:]}
    if needs_passkey(user) and twofactor.has_passkey(user):
        # What a forged page could ask for opens nothing, unless it's the way back of paper.
        return bool(later & {Method.PASSKEY, Method.RECOVERY_CODE})
    is_by_mail = Method.MAIL in later and takes_mail(user, proofs)
    return bool(later & FACTORS) or Method.TRUSTED_BROWSER in later or is_by_mail


def needs_passkey(user: User) -> bool:
    """Whether only a passkey will do for ``user`` (``STAFF_FACTOR``)."""
    return twofactor.needs_passkey(user)


def _lacks_passkey(user: User, proofs: tuple[Proof, ...]) -> bool:
    return needs_passkey(user) and all(proof.method is not Method.PASSKEY for proof in proofs)

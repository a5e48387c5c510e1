"""The authentication policy: what a sign-in or an act still requires.

A trusted browser, a mailed code or a provider's word is a convenience and no strong proof. Alone or
together they never enrol a factor, change a credential or open staff pages where the account holds
something stronger; such an act requires the strongest thing that the account holds, shown recently
(:func:`is_recent`; ASVS 7.5.1). Credentials are passwords, factors, recovery codes, addresses,
connected providers, API keys and trust in browsers. The strongest thing is any second factor, and
for staff under ``STAFF_FACTOR=passkey`` a passkey. Where the account holds nothing stronger, what
it has is enough, and its owner is told at every address.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.issuers import Issuer
from accounts.common.proofs import FACTORS, Assurance, Method, Proof
from accounts.sessions import reauthentication
from accounts.sessions.models import LoginSession
from accounts.twofactor import services as twofactor
from accounts.users import identities
from accounts.users.models import PendingSignup, User


class Requirement(Enum):
    """What must still be shown before anyone is admitted."""

    CREDENTIAL = "credential"
    EMAIL = "email"
    # Of staff who have no factor yet: a mailbox alone, or a password alone, must not enrol one.
    PASSWORD = "password"  # noqa: S105 the name of a requirement
    MAILBOX = "mailbox"
    SECOND_FACTOR = "second_factor"
    ENROLMENT = "enrolment"
    PASSKEY = "passkey"


class AccountInactive(PublicError):
    """The account was switched off. Said only to who has proved to own it."""

    code = "account_inactive"
    status = 403
    message = _("This account has been switched off.")


def next_requirement(
    account: User | PendingSignup, proofs: tuple[Proof, ...]
) -> Requirement | None:
    """What ``account`` has yet to show beyond ``proofs``; None: let it in.

    :class:`AccountInactive` when nothing that it could show would do.
    """
    if not proofs:
        return Requirement.CREDENTIAL
    if isinstance(account, PendingSignup):
        return Requirement.EMAIL
    if not account.is_active:
        raise AccountInactive
    if not twofactor.has_any(account):
        return _before_enrolment(account, proofs) if twofactor.is_required(account) else None
    if not _is_second_shown(account, proofs):
        return Requirement.SECOND_FACTOR
    return Requirement.PASSKEY if _lacks_passkey(account, proofs) else None


def takes_mail(user: User, proofs: tuple[Proof, ...]) -> bool:
    """Return whether a mailed code is accepted as the second step after ``proofs``.

    Never after a first step that came by mail, since the mailbox alone would be enough. Staff show
    their mailbox only to enrol a first factor.
    """
    if proofs[0].method is not Method.PASSWORD:
        return False
    return not user.is_privileged or not twofactor.has_any(user)


def suffices(session: LoginSession) -> bool:
    """Whether a sign-in has shown what staff, or everybody, must have to enter the admin.

    One from before a person became staff, or from before the setting, has not.
    """
    if needs_passkey(session.user) and Method.PASSKEY not in session.amr:
        return False
    return session.acr is Assurance.TWO_STEPS or not twofactor.is_required(session.user)


def proved_at(session: LoginSession) -> datetime | None:
    """Return when the session last showed the strongest proof that its account holds.

    None if it never did: it was begun in a trusted browser or by a mailed code, or the account has
    a stronger proof since.
    """
    if needs_passkey(session.user) and twofactor.has_passkey(session.user):
        return session.passkey_at
    return session.factor_at if twofactor.has_any(session.user) else session.auth_time


def may_enrol(session: LoginSession) -> bool:
    """Return whether the session has shown what adding a first factor from inside requires.

    One of staff may be older than their promotion, or than a stricter ``SECOND_FACTOR``.
    """
    user = session.user
    if twofactor.has_any(user) or not twofactor.is_required(user):
        return True
    proofs = tuple(Proof(Method(method), session.auth_time) for method in session.amr)
    return _before_enrolment(user, proofs) is Requirement.ENROLMENT


def is_recent(session: LoginSession, *, is_opening: bool = False) -> bool:
    """Return whether the session may do a sensitive act now.

    ``is_opening``: it only opens the form of one, which then takes some time to fill in.
    """
    at = proved_at(session)
    return at is not None and clock.now() <= at + (
        reauthentication.TO_OPEN if is_opening else reauthentication.LIFE
    )


@dataclass(frozen=True)
class ReauthenticationMethods:
    """The methods by which a user may reauthenticate; see :func:`provers` for providers.

    ``code`` is a code of an authenticator app or a recovery code.
    """

    passkey: bool
    code: bool
    password: bool


def reauthentication_methods(user: User) -> ReauthenticationMethods:
    """Return the methods by which ``user`` may reauthenticate.

    A second factor if one is held, otherwise the password. Where a passkey is required and held,
    a code would not count as recent authentication.
    """
    has_passkey = twofactor.has_passkey(user)
    has_factor = has_passkey or twofactor.has_any(user)
    return ReauthenticationMethods(
        passkey=has_passkey,
        code=has_factor and not (has_passkey and needs_passkey(user)),
        password=not has_factor,
    )


def provers(user: User) -> list[Issuer]:
    """Return the providers by which ``user`` may reauthenticate: none if a factor is held.

    Preferred are those that say when people signed in there. The others only show that a browser
    is still signed in, and serve accounts that have nothing better.
    """
    if twofactor.has_any(user):
        return []
    held = {identity.issuer for identity in identities.usable(user)}
    known = [issuer for issuer in settings.AUTHSITE.issuers if issuer.issuer in held]
    telling = [issuer for issuer in known if issuer.tells_when]
    has_better = telling or user.has_usable_password()
    return telling if has_better else known


def must_enrol_passkey(user: User, proofs: tuple[Proof, ...]) -> bool:
    """Return whether the second factor that ``user`` adds must be a passkey.

    It must where a passkey is required, and in an account without a password after a sign-in by a
    mailed code, because the mailbox is then all that was shown.
    """
    by_mail = proofs[0].method is Method.MAIL and not user.has_usable_password()
    return needs_passkey(user) or by_mail


def makes_trusted(proof: Proof) -> bool:
    """Return whether ``proof`` may make a browser trusted: a second factor, never a mailed code."""
    return proof.method in FACTORS


def trusted_browser_days(user: User) -> int:
    """Return for how many days ``user`` may trust a browser.

    The answer is 0 where only a passkey is accepted, because trust never replaces a passkey.
    """
    return 0 if needs_passkey(user) else settings.AUTHSITE.trusted_browser_days


def _is_second_shown(user: User, proofs: tuple[Proof, ...]) -> bool:
    """A passkey that has signed in by itself has verified its user: both steps at once."""
    if proofs[0].method is Method.PASSKEY:
        return True
    later = {proof.method for proof in proofs[1:]}
    if needs_passkey(user):
        # Phishable factors do not count here; printed recovery codes are the exception. Who has no
        # passkey yet enrols one next, so the factor shown is a real one.
        is_enrolling = not twofactor.has_passkey(user)
        return bool(later & (FACTORS if is_enrolling else {Method.PASSKEY, Method.RECOVERY_CODE}))
    is_by_mail = Method.MAIL in later and takes_mail(user, proofs)
    return bool(later & FACTORS) or Method.TRUSTED_BROWSER in later or is_by_mail


def needs_passkey(user: User) -> bool:
    """Whether only a passkey will do for ``user`` (``STAFF_FACTOR``)."""
    return twofactor.needs_passkey(user)


def _lacks_passkey(user: User, proofs: tuple[Proof, ...]) -> bool:
    return needs_passkey(user) and all(proof.method is not Method.PASSKEY for proof in proofs)


def _before_enrolment(user: User, proofs: tuple[Proof, ...]) -> Requirement:
    """Return what staff without a factor show before they enrol one: password and mailbox.

    An operator's link replaces both. So does the first sign-in of an account that an operator made
    with ``createsuperuser``: nobody has been promoted in it since (``credential_version``).
    """
    methods = {proof.method for proof in proofs}
    is_new = user.last_login is None and user.credential_version == 0
    if not user.is_privileged or Method.OPERATOR in methods:
        return Requirement.ENROLMENT
    if Method.PASSWORD not in methods:
        return Requirement.PASSWORD
    return Requirement.ENROLMENT if is_new or Method.MAIL in methods else Requirement.MAILBOX

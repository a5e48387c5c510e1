"""The authentication policy: decides what a sign-in or a sensitive action still requires.

A trusted browser, an emailed code and a sign-in with a provider are weak proofs. If the account has
a stronger proof, such as a passkey, no combination of weak proofs is enough to enrol a factor,
change a credential or open staff pages. These actions require a recent use of the strongest proof
that the account has (:func:`is_recent`; ASVS 7.5.1).

Credentials are passwords, factors, recovery codes, email addresses, connected providers, API keys
and trusted browsers. The strongest proof is any second factor; for staff under
``STAFF_FACTOR=passkey`` it is a passkey. An account without a stronger proof may use the proofs
that it has, and the action is reported to all its email addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.issuers import Issuer
from accounts.common.proofs import FACTORS, WORDS, Assurance, Method, Proof
from accounts.sessions import current
from accounts.sessions.models import LoginSession
from accounts.terms import services as terms
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Factor
from accounts.users import models as users_models
from accounts.users.models import PendingSignup, User

# In this time after a sign-in with the password, the browser may create a passkey by itself.
MAKE_PASSKEY = timedelta(minutes=5)


class Requirement(Enum):
    """What a sign-in still requires before a session is created."""

    CREDENTIAL = "credential"
    EMAIL = "email"
    # PASSWORD and MAILBOX are for staff without a second factor, who need both to enrol one.
    PASSWORD = "password"  # noqa: S105 the name of a requirement
    MAILBOX = "mailbox"
    SECOND_FACTOR = "second_factor"
    ENROLMENT = "enrolment"
    PASSKEY = "passkey"
    # Required after all proofs, so that nobody else learns whether the user has accepted the terms.
    TERMS = "terms"
    # Required after all proofs, so that nobody else can keep an account that will be deleted.
    KEEP_ACCOUNT = "keep_account"


class AccountInactive(PublicError):
    """The account is deactivated. Only people who have shown a valid proof see this error."""

    code = "account_inactive"
    status = 403
    message = _("This account has been deactivated.")


def next_requirement(
    account: User | PendingSignup, proofs: tuple[Proof, ...]
) -> Requirement | None:
    """Return what a sign-in to ``account`` requires after ``proofs``, or None if it is complete.

    Raises:
        AccountInactive: the account is deactivated, so no proof is enough.
    """
    # A newer release may have accepted a method whose rules this one does not know.
    if not proofs or proofs[0].method not in WORDS:
        return Requirement.CREDENTIAL
    if isinstance(account, PendingSignup):
        return Requirement.EMAIL
    if not account.is_active:
        raise AccountInactive
    if requirement := _next_proof(account, proofs):
        return requirement
    if account.deletion_due:
        return Requirement.KEEP_ACCOUNT
    return Requirement.TERMS if terms.must_accept(account) else None


def _next_proof(user: User, proofs: tuple[Proof, ...]) -> Requirement | None:
    """Return the proof or the second factor that a sign-in still requires, or None."""
    if not twofactor.has_any(user):
        return _before_enrolment(user, proofs) if twofactor.is_required(user) else None
    if not _is_second_shown(user, proofs):
        return Requirement.SECOND_FACTOR
    lacks_passkey = all(proof.method is not Method.PASSKEY for proof in proofs)
    return Requirement.PASSKEY if lacks_passkey and twofactor.needs_passkey(user) else None


def takes_mail(user: User, proofs: tuple[Proof, ...]) -> bool:
    """Return whether an emailed code is accepted as the second step after ``proofs``.

    It is accepted only after a password, because otherwise access to the mailbox could be
    sufficient for both steps. Staff can use an emailed code only to enrol their first factor. All
    other users decide themselves: emailed codes are off until they turn them on. ``STRICT`` forbids
    them.
    """
    if proofs[0].method is not Method.PASSWORD:
        return False
    if user.is_privileged:
        return not twofactor.has_any(user)
    return user.emailed_codes and not settings.AUTHSITE.is_strict


def may_use_emailed_codes(user: User) -> bool:
    """Return whether ``user`` may turn emailed codes on or off as the second step."""
    if settings.AUTHSITE.is_strict or user.is_privileged:
        return False
    return bool(user.email) and twofactor.has_any(user)


def may_make_passkey(session: LoginSession) -> bool:
    """Return whether the browser of ``session`` may create a passkey without asking the user.

    It may in the first minutes of a session that began with the password, unless the user is staff,
    or the account has a passkey, or has or needs a second factor. In such a session, the password
    already gives all the access that the passkey will give.
    """
    user = session.user
    if user.is_privileged or twofactor.is_required(user) or session.amr[:1] != [Method.PASSWORD]:
        return False
    is_fresh = clock.now() < session.begun_at + MAKE_PASSKEY
    # An account has at most one passkey of this kind, because several would be hard to tell apart.
    return is_fresh and not (twofactor.has_any(user) or twofactor.PASSKEYS_OF.all(user=user.pk))


def suffices(session: LoginSession) -> bool:
    """Return whether the proofs of the session meet the requirements of the admin.

    They may not if the session began before the user became staff or before the settings were
    changed.
    """
    if twofactor.needs_passkey(session.user) and Method.PASSKEY not in session.amr:
        return False
    return session.acr is Assurance.TWO_STEPS or not twofactor.is_required(session.user)


def authenticated_at(session: LoginSession) -> datetime | None:
    """Return the time at which the strongest proof of the account was last shown in ``session``.

    The strongest proof is a passkey if the policy requires one and the user has one. Otherwise, it
    is any second factor of the user. If the user has none, it is any proof.

    Return None if the strongest proof was never shown in the session. For example, the session
    began in a trusted browser or with an emailed code, or the factor was added in another session.
    """
    if twofactor.needs_passkey(session.user) and twofactor.has_passkey(session.user):
        return session.passkey_at
    return session.factor_at if twofactor.has_any(session.user) else session.auth_time


def may_enrol(session: LoginSession) -> bool:
    """Return whether the user may add a first second factor in ``session``.

    The proofs of the session may be insufficient if it began before the user became staff or before
    the settings were changed.
    """
    user = session.user
    if twofactor.has_any(user) or not twofactor.is_required(user):
        return True
    proofs = tuple(Proof(Method(method), session.auth_time) for method in session.amr)
    return _before_enrolment(user, proofs) is Requirement.ENROLMENT


def is_recent(session: LoginSession, *, is_opening: bool = False) -> bool:
    """Return whether authentication in the session is recent enough for a sensitive action.

    ``is_opening``: whether the request only opens the form of the action. This requires a more
        recent authentication than the action itself, so that the user has time to fill in the form.
    """
    at = authenticated_at(session)
    return at is not None and clock.now() <= at + (
        current.RECENT_TO_OPEN if is_opening else current.RECENT
    )


def may_end_sessions(session: LoginSession) -> bool:
    """Return whether the user may end another session without reauthenticating first.

    The strongest proof of the account must have been shown in ``session`` at some time. Otherwise
    somebody with a trusted browser and the mailbox could sign the owner out.
    """
    return authenticated_at(session) is not None


def stepped_up_at(user: User, proofs: Sequence[Proof]) -> datetime | None:
    """Return when a second factor that is old enough was last shown in ``proofs``.

    Return None if no second factor was shown, or if the last one is so new that a thief may have
    added it: see :func:`_counts`.
    """
    at, now = None, clock.now()
    for proof in proofs:
        if proof.method in FACTORS:
            at = proof.at if _shows_old_factor(user, proof, now, at) else None
    return at


def steps_up(session: LoginSession, proof: Proof) -> bool:
    """Return whether ``proof``, shown in ``session``, is from a second factor that is old enough.

    A thief of the session may have added a newer factor: see :func:`_counts`.
    """
    return proof.method in FACTORS and _shows_old_factor(
        session.user, proof, session.begun_at, session.stepped_up_at
    )


def _shows_old_factor(
    user: User, proof: Proof, begun_at: datetime, stepped_up_at: datetime | None
) -> bool:
    # A factor that was added during the sign-in is the newest one, and its proof names no factor.
    factor = proof.factor or twofactor.find(user, proof.key)
    return factor is not None and _counts(factor, begun_at, stepped_up_at)


def _counts(factor: Factor, begun_at: datetime, stepped_up_at: datetime | None = None) -> bool:
    """Return whether ``factor`` is old enough for acts of staff and for apps in a session.

    A thief of a session could add a factor, and sign in with it. Therefore, a factor counts seven
    days after it was added, or as soon as an older one has been shown in the session since. The
    first factor of an account counts in the sessions that begin after it was added.

    ``begun_at``: when the session began.
    ``stepped_up_at``: when a factor that counts was last shown in it.
    """
    if clock.now() >= factor.made_at + twofactor.NEW:
        return True
    if stepped_up_at and stepped_up_at > factor.made_at:
        return True
    return factor.made_at <= begun_at and not twofactor.had_older(factor)


@dataclass(frozen=True)
class NewFactor:
    """The explanation for a user who has shown a second factor that is too new for an action.

    ``may_show``: whether the account has another factor, which is old enough.
    ``until``: when the newest factor is old enough; None if it is from the next sign-in on.
    """

    may_show: bool
    until: datetime | None


def new_factor(session: LoginSession) -> NewFactor:
    """Return the explanation for the user of ``session``, whose factor is too new."""
    rows = twofactor.devices(session.user)
    may_show = any(_counts(row, session.begun_at) for row in rows)
    newest = twofactor.find(session.user)
    must_wait = newest is not None and twofactor.had_older(newest)
    return NewFactor(may_show, newest.made_at + twofactor.NEW if must_wait else None)


@dataclass(frozen=True)
class ReauthenticationMethods:
    """The methods by which a user may reauthenticate; see :func:`provers` for providers.

    ``code``: whether a code of an authenticator app or a recovery code is accepted.
    """

    passkey: bool
    code: bool
    password: bool


def reauthentication_methods(session: LoginSession) -> ReauthenticationMethods:
    """Return the methods by which the user of ``session`` may reauthenticate.

    A user with a second factor must show one; all others use the password. If the policy requires a
    passkey and the user has one, the user must show it, because a code would not be sufficient.
    While the passkey is new, a code proves that the user has an older factor.
    """
    user = session.user
    has_factor, has_passkey = twofactor.has_any(user), twofactor.has_passkey(user)
    return ReauthenticationMethods(
        passkey=has_passkey,
        code=has_factor
        and (session.has_new_factor or not (has_passkey and twofactor.needs_passkey(user))),
        password=not has_factor and user.has_usable_password(),
    )


def provers(user: User) -> list[Issuer]:
    """Return the providers with which ``user`` may reauthenticate.

    The list is empty if the user has a second factor. Providers that report the time of
    authentication are preferred. Other providers only prove that the browser is still signed in
    there, so they are listed only if the account has neither a password nor a preferred provider.
    """
    if twofactor.has_any(user):
        return []
    held = {identity.issuer for identity in users_models.usable(user)}
    known = [issuer for issuer in settings.AUTHSITE.issuers if issuer.issuer in held]
    telling = [issuer for issuer in known if issuer.tells_when]
    has_better = telling or user.has_usable_password()
    return telling if has_better else known


def must_enrol_passkey(user: User, proofs: tuple[Proof, ...]) -> bool:
    """Return whether the second factor that ``user`` adds must be a passkey.

    It must if the policy requires a passkey. It also must if the account has no password and the
    user signed in with an emailed code, because then only access to the mailbox was proved.
    """
    by_mail = proofs[0].method is Method.MAIL and not user.has_usable_password()
    return twofactor.needs_passkey(user) or by_mail


def trusted_browser_days(user: User) -> int:
    """Return for how many days ``user`` may trust a browser.

    The result is 0 if the user needs a passkey, because a trusted browser never replaces a passkey.
    """
    return 0 if twofactor.needs_passkey(user) else settings.AUTHSITE.trusted_browser_days


def _is_second_shown(user: User, proofs: tuple[Proof, ...]) -> bool:
    """Return whether a second factor was shown.

    A passkey as the first proof counts as both steps, because it verifies its user.
    """
    if proofs[0].method is Method.PASSKEY:
        return True
    later = {proof.method for proof in proofs[1:]}
    if twofactor.needs_passkey(user):
        # Phishable factors do not count here, except recovery codes. A user without a passkey must
        # enrol one next, so any second factor is accepted.
        is_enrolling = not twofactor.has_passkey(user)
        return bool(later & (FACTORS if is_enrolling else {Method.PASSKEY, Method.RECOVERY_CODE}))
    is_by_mail = Method.MAIL in later and takes_mail(user, proofs)
    return bool(later & FACTORS) or Method.TRUSTED_BROWSER in later or is_by_mail


def _before_enrolment(user: User, proofs: tuple[Proof, ...]) -> Requirement:
    """Return the next requirement for a user who must enrol a first second factor.

    Staff must first show the password, and then a code from their mailbox. An operator's enrolment
    link replaces both. The first sign-in to an account that ``createsuperuser`` created requires
    only the password. A ``credential_version`` of 0 distinguishes such an account from one that
    became staff later.
    """
    methods = {proof.method for proof in proofs}
    is_new = user.last_login is None and user.credential_version == 0
    if not user.is_privileged or Method.OPERATOR in methods:
        return Requirement.ENROLMENT
    if Method.PASSWORD not in methods:
        return Requirement.PASSWORD
    return Requirement.ENROLMENT if is_new or Method.MAIL in methods else Requirement.MAILBOX

"""Finds the older proofs of ownership in a request: the evidence that counts in a dispute."""

from collections.abc import Iterable
from datetime import datetime

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Source, record
from accounts.kernel.errors import PublicError
from accounts.kernel.proofs import FACTORS, Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import guesses, known
from accounts.throttle.limits import LOGIN_SUBSCRIBER, PROOF_SESSION
from accounts.throttle.services import spend
from accounts.twofactor import codes
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Authenticator
from accounts.users import former
from accounts.users.disputes import Evidence, counts
from accounts.users.models import User

type Shown = frozenset[Evidence]


class WrongPassword(PublicError):
    """The password is not the one that the account had a week before the disputed change."""

    code = "invalid_credentials"
    message = _("That isn’t the right password. If it was changed lately, use the one before.")


def of_request(
    request: HttpRequest, user: User, proofs: Iterable[Proof], disputed_at: datetime
) -> Shown:
    """Return the evidence that the browser of ``request`` and ``proofs`` give."""
    shown = {of_proof(user, proof, disputed_at) for proof in proofs}
    since = known.since(request, user)
    if since is not None and counts(user, since, disputed_at):
        shown.add(Evidence.BROWSER)
    return frozenset(kind for kind in shown if kind is not None)


def of_proof(user: User, proof: Proof, disputed_at: datetime) -> Evidence | None:
    """Return the evidence that ``proof`` gives; None if it is too young or shows no ownership."""
    if proof.method is Method.PASSWORD:
        return Evidence.PASSWORD if counts(user, user.password_at, disputed_at) else None
    if proof.method is Method.MAIL:
        return of_email(user, proof.key, disputed_at)
    if proof.method in FACTORS and is_older_factor(user, proof.key, disputed_at):
        return Evidence.FACTOR
    return None


def of_email(user: User, key: str, disputed_at: datetime) -> Evidence | None:
    """Return the evidence that reading mail at the address with that ``key`` gives."""
    row = user.addresses.filter(key=key).first()
    if row and counts(user, row.confirmed_at, disputed_at):
        return Evidence.EMAIL
    return Evidence.REMOVED_EMAIL if former.was_email(user, key, disputed_at) else None


def is_older_factor(user: User, key: str, disputed_at: datetime) -> bool:
    """Return whether ``key`` is the ``persistent_id`` of a second factor that counts."""
    rows = twofactor.devices(user) + former.removed_factors(user, disputed_at)
    return any(row.persistent_id == key and counts(user, row.made_at, disputed_at) for row in rows)


def check_password(
    user: User, typed: str, disputed_at: datetime, source: Source, budget: str
) -> Evidence:
    """Return the evidence if ``typed`` was the password of ``user`` before the dispute.

    ``budget`` names what the guesses are counted for, such as one link: guesses with another link
    or in another session use up a budget of their own.

    Raises:
        WrongPassword: another password, or the former password is not kept any more.
        Later: too many guesses.
    """
    if source.place:
        spend(LOGIN_SUBSCRIBER, source.place.network)
    spend(PROOF_SESSION, budget)
    if not passwords.verify(typed, former.password_hash(user, disputed_at)):
        if source.session:
            guesses.record_failed_proof(user, source)
        else:
            record(user, events.PROOF_FAILED, source)
        raise WrongPassword
    return Evidence.PASSWORD


def removed_factor(user: User, typed: str, disputed_at: datetime) -> Proof | None:
    """Return the proof if ``typed`` is a code of an authenticator app that was removed.

    An app counts only if its own code was the second factor of the session that removed it: see
    ``_keep`` of ``twofactor.services``. The caller spends the budget for the guess.
    """
    code = codes.canonical(typed)
    if not codes.TOTP_CODE.fullmatch(code):
        return None
    for row in former.removed_factors(user, disputed_at):
        if isinstance(row, Authenticator) and row.fits(code):
            return Proof.now(Method.TOTP, row.persistent_id)
    return None

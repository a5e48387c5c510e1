"""Finds the older proofs of ownership in a request: the evidence that counts in a dispute."""

from collections.abc import Iterable
from datetime import datetime

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Source, record
from accounts.identities import services as identities
from accounts.kernel.errors import PublicError
from accounts.kernel.proofs import FACTORS, Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import guesses, known
from accounts.throttle.limits import PROOF_SESSION
from accounts.throttle.services import spend
from accounts.twofactor import services as twofactor
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
    if proof.method is Method.PROVIDER:
        return of_provider(user, proof.key, disputed_at)
    if proof.method in FACTORS and is_older_factor(user, proof.key, disputed_at):
        return Evidence.FACTOR
    return None


def of_email(user: User, key: str, disputed_at: datetime) -> Evidence | None:
    """Return the evidence that reading mail at the address with that ``key`` gives."""
    row = user.addresses.filter(key=key).first()
    if row and counts(user, row.confirmed_at, disputed_at):
        return Evidence.EMAIL
    return Evidence.REMOVED_EMAIL if former.was_email(user, key, disputed_at) else None


def of_provider(user: User, key: str, disputed_at: datetime) -> Evidence | None:
    """Return the evidence that a sign-in with the external identity ``key`` gives.

    It stands in for the mailbox of an account that had no email address, and counts nowhere else.
    """
    row = next((row for row in identities.of(user) if str(row.pk) == key), None)
    counts_now = row is not None and counts(user, row.connected_at, disputed_at)
    return Evidence.PROVIDER if counts_now and not former.had_email(user, disputed_at) else None


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
    spend((PROOF_SESSION, budget))
    if not passwords.verify(typed, _former_hash(user, disputed_at)):
        if source.session:
            guesses.record_failed_proof(user, source)
        else:
            record(user, events.PROOF_FAILED, source)
        raise WrongPassword
    return Evidence.PASSWORD


def removed_factor(user: User, code: str) -> Proof | None:
    """Return the proof if ``code`` is of a removed factor that counts in a dispute; it is spent.

    A factor counts only if it was the second factor of the session that removed it: see ``_keep``
    of ``twofactor.services``. The caller spends the budget for the guess.
    """
    if not user.is_disputed or user.disputed_at is None:
        return None
    key = former.use_removed_factor(user, user.disputed_at, code)
    # Which kind of factor it was doesn't matter here.
    return Proof.now(Method.TOTP, key) if key else None


def _former_hash(user: User, disputed_at: datetime) -> str | None:
    return user.former_hash if user.is_disputed else former.password_hash(user, disputed_at)

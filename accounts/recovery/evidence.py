"""Determines which of the proofs that a request shows count in a dispute over an account.

Only a proof that the account had long enough before the disputed change counts: an *older proof*.
``accounts.users.disputes`` contains the rule.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import is_password_usable
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common.errors import PublicError
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.passwords import services as passwords
from accounts.sessions import known_browsers
from accounts.sessions import services as sessions
from accounts.throttle.limits import REAUTHENTICATION
from accounts.throttle.services import hit
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Authenticator, Factor, Passkey, RecoveryCodes
from accounts.twofactor.webauthn import PasskeyResponse
from accounts.users import former_credentials
from accounts.users import models as users_models
from accounts.users.disputes import Evidence, OwnershipEvidence, Shown, counts
from accounts.users.models import User


class WrongPassword(PublicError):
    """The typed password is not the one that the account had a week before the disputed change."""

    code = "invalid_credentials"
    message = _("That isn’t the right password. If it was changed recently, use the previous one.")


def of_request(
    request: HttpRequest, user: User, proofs: Iterable[Proof], disputed_at: datetime
) -> Shown:
    """Return the proofs of a request that are old enough to count in a dispute.

    The result contains each of ``proofs`` that is old enough to count. It also contains the browser
    of ``request`` if ``user`` first signed in there long enough before the disputed change.

    ``disputed_at``: the time of the disputed change.
    """
    shown = {evidence_of(user, proof, disputed_at) for proof in proofs}
    browser = known_browsers.recognize(request, user)
    if browser is not None and counts(user, browser.since, disputed_at):
        shown.add(OwnershipEvidence(Evidence.BROWSER, str(browser.pk), browser.since))
    return frozenset(proof for proof in shown if proof is not None)


def evidence_of(user: User, proof: Proof, disputed_at: datetime) -> OwnershipEvidence | None:
    """Return ``proof`` as evidence for a dispute, or None if it does not count in the dispute.

    A proof counts if the account had it long enough before ``disputed_at``, the time of the
    disputed change.
    """
    if proof.method is Method.PASSWORD:
        is_old = counts(user, user.password_at, disputed_at)
        return OwnershipEvidence(Evidence.PASSWORD, since=user.password_at) if is_old else None
    if proof.method is Method.MAIL:
        return _of_email(user, proof.key, disputed_at)
    if proof.method is Method.PROVIDER:
        return _of_provider(user, proof.key, disputed_at)
    return older_factor(user, proof.key, disputed_at) if proof.method in FACTORS else None


def _of_email(user: User, key: str, disputed_at: datetime) -> OwnershipEvidence | None:
    """Return the proof of access to a mailbox, or None if the mailbox does not count in a dispute.

    The mailbox counts if the account had its email address long enough before ``disputed_at``, the
    time of the disputed change. It counts even if the email address was removed later.

    ``key``: the key of the email address.
    """
    row = user.emails.filter(key=key).first()
    if row and counts(user, row.confirmed_at, disputed_at):
        return OwnershipEvidence(Evidence.EMAIL, key, row.confirmed_at)
    removed = former_credentials.removed_email(user, key, disputed_at)
    return OwnershipEvidence(Evidence.REMOVED_EMAIL, key, removed.since) if removed else None


def _of_provider(user: User, key: str, disputed_at: datetime) -> OwnershipEvidence | None:
    """Return the proof of a sign-in with an external identity, or None if it does not count.

    The identity must have been connected long enough before ``disputed_at``, the time of the
    disputed change. It replaces the proof of a mailbox, so it counts only if the account had no
    email address.

    ``key``: the id of the external identity.
    """
    row = next((row for row in users_models.of(user) if str(row.pk) == key), None)
    if row is None or not counts(user, row.connected_at, disputed_at):
        return None
    if former_credentials.had_email(user, disputed_at):
        return None
    return OwnershipEvidence(Evidence.PROVIDER, key, row.connected_at)


def older_factor(user: User, key: str, disputed_at: datetime) -> OwnershipEvidence | None:
    """Return the proof of a second factor, or None if the factor does not count in a dispute.

    A factor counts if the account had it long enough before ``disputed_at``, the time of the
    disputed change. It may have been removed later.

    ``key``: the ``persistent_id`` of the factor.
    """
    rows = twofactor.devices(user) + former_credentials.removed_factors(user, disputed_at)
    for row in rows:
        if row.persistent_id == key and counts(user, row.made_at, disputed_at):
            return OwnershipEvidence(Evidence.FACTOR, key, row.made_at)
    return None


def former_password(user: User, disputed_at: datetime) -> OwnershipEvidence:
    """Return the proof that a person knows the password from a week before the disputed change.

    The caller must have verified this password with :func:`check_password`.
    """
    return OwnershipEvidence(
        Evidence.PASSWORD, since=former_credentials.password_since(user, disputed_at)
    )


def check_password(
    user: User, typed: str, disputed_at: datetime, actor: Actor, budget: str
) -> OwnershipEvidence:
    """Return the proof if ``typed`` was the password a week before the disputed change.

    ``disputed_at``: the time of the disputed change.
    ``budget``: identifies the link or the session for which guesses are counted, so that guesses
        elsewhere do not use up the limit.

    Raises:
        WrongPassword: the password is wrong, or the former password is no longer stored.
        RateLimited: too many guesses.
    """
    hit(REAUTHENTICATION.of(budget))
    if not passwords.verify(typed, _former_hash(user, disputed_at)):
        if actor.session:
            sessions.record_failed_reauthentication(user, actor)
        else:
            record(user, events.PROOF_FAILED, actor)
        raise WrongPassword
    return former_password(user, disputed_at)


def removed_factor(user: User, code: str) -> Proof | None:
    """Use up ``code`` if it belongs to a removed factor that counts in a dispute.

    Return the proof, or None if no such factor accepts the code. A removed factor counts only if it
    was the second factor of the session that removed it: see ``keep`` in ``twofactor.services``.
    The caller applies the rate limits.
    """
    # The exact method does not matter here, as long as it is a second factor.
    return _use_removed(user, Method.TOTP, code, Authenticator, RecoveryCodes)


def removed_passkey(user: User, answer: PasskeyResponse) -> Proof | None:
    """Verify ``answer``, the response of a removed passkey that counts in a dispute.

    Return the proof, or None if no such passkey made the response. A removed passkey counts only if
    it was the second factor of the session that removed it.
    """
    return _use_removed(user, Method.PASSKEY, answer, Passkey)


def removed_passkeys(user: User) -> list[Passkey]:
    """Return the removed passkeys of a locked account that :func:`removed_passkey` accepts."""
    if not user.is_disputed or user.disputed_at is None:
        return []
    rows = former_credentials.removed_factors(user, user.disputed_at)
    return [row for row in rows if isinstance(row, Passkey)]


def _use_removed(user: User, method: Method, token: Any, *kinds: type[Factor]) -> Proof | None:
    def consumes(factor: Any) -> bool:
        return isinstance(factor, kinds) and factor.consume(token)

    if not user.is_disputed or user.disputed_at is None:
        return None
    key = former_credentials.use_removed_factor(user, user.disputed_at, consumes)
    return Proof.now(method, key) if key else None


def _former_hash(user: User, disputed_at: datetime) -> str | None:
    # A lock stores the hash with the password, unless no password counted.
    if user.is_disputed and is_password_usable(user.former_hash):
        return user.former_hash
    return former_credentials.password_hash(user, disputed_at)

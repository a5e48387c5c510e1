"""Stores the proofs that a browser has shown for a password reset; says what is still required."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.http import HttpRequest

from accounts.common import clock
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.password_pages.services import Reset
from accounts.recovery import evidence
from accounts.recovery import services as recovery
from accounts.recovery.services import Assessment
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.twofactor import services as twofactor
from accounts.users.disputes import Evidence

# The key in the session data for the proofs that this browser has shown, with their link and time.
SHOWN = "reset_shown"
LIFE = timedelta(minutes=15)


class ResetRequirement(Enum):
    """What a reset requires before the new password is set."""

    # A link of an operator, which replaces the mailbox and the password.
    OPERATOR = "operator"
    # A second factor, or older proofs of ownership.
    PROOF = "proof"


@dataclass(frozen=True)
class ResetProgress:
    """How far a password reset has come in this browser.

    ``found``: the reset link.
    ``proofs``: the proofs that this browser has shown for the link.
    ``assessment``: what the user can do to recover the account with these proofs.
    """

    found: Reset
    proofs: tuple[Proof, ...]
    assessment: Assessment

    @property
    def first_step(self) -> tuple[Proof, ...]:
        """The proof of the first step, as a tuple: access to the mailbox, or what replaced it."""
        return self.proofs[:1] or (Proof.now(Method.MAIL),)

    @property
    def requirement(self) -> ResetRequirement | None:
        """The requirement that must be met before the password is set, or None.

        If the policy requires a second factor but the account has none, the user adds one at the
        next sign-in.
        """
        user = self.found.user
        requirement = policy.next_requirement(user, self.proofs)
        if requirement is Requirement.PASSWORD and Evidence.PASSWORD not in self.assessment.kinds:
            # Members of staff can add a second factor with the mailbox and the password. Therefore
            # the mailbox alone must not be enough to set the password.
            return ResetRequirement.OPERATOR
        if user.is_disputed:
            return None if self.assessment.may_finish else ResetRequirement.PROOF
        return ResetRequirement.PROOF if requirement is Requirement.SECOND_FACTOR else None

    @property
    def has_shown_factor(self) -> bool:
        """Whether a second factor was shown, even one that is too new to count in a dispute."""
        return any(proof.method in FACTORS for proof in self.proofs)

    @property
    def offers_removal(self) -> bool:
        """Whether the page offers to remove all second factors because they are lost."""
        user = self.found.user
        is_lost = twofactor.has_any(user) and not self.has_shown_factor
        return is_lost and not user.is_privileged and self.assessment.may_finish


def progress_of(request: HttpRequest, found: Reset) -> ResetProgress:
    """Return how far the reset with the link ``found`` has come in this browser.

    If the link was sent by email, access to the mailbox is the first proof.
    """
    user, at = found.user, recovery.disputed_at(found.user)
    stored = _stored(request, found)
    shown = map(Proof.from_json, stored["proofs"])
    first = (Proof.now(Method.MAIL, found.email_key),) if found.by_mail else ()
    proofs = (*first, *shown)
    counted = evidence.of_request(request, user, proofs, at)
    if stored["password"]:
        counted |= {evidence.former_password(user, at)}
    assessment = recovery.assess(user, counted)
    # A thief may know the former password, and may have added a mailbox. Both together must not be
    # enough to begin a waiting period.
    has_only_password = user.is_disputed and assessment.kinds <= {Evidence.PASSWORD}
    if has_only_password:
        assessment = replace(assessment, is_offered=False, running=None)
    return ResetProgress(found, proofs, assessment)


def _stored(request: HttpRequest, found: Reset) -> dict[str, Any]:
    stored: dict[str, Any] = request.session.get(SHOWN) or {}
    is_same = stored.get("subject") == found.subject
    if is_same and clock.now() < datetime.fromisoformat(stored["at"]) + LIFE:
        return stored
    return {"subject": found.subject, "proofs": [], "password": False}


def note_password(request: HttpRequest, found: Reset) -> None:
    """Record that this browser has shown the former password for the reset ``found``."""
    _store(request, {**_stored(request, found), "password": True})


def note(request: HttpRequest, found: Reset, proof: Proof) -> None:
    """Record that this browser has shown ``proof`` for the reset ``found``."""
    stored = _stored(request, found)
    stored["proofs"] = [*stored["proofs"], proof.to_json()]
    _store(request, stored)


def _store(request: HttpRequest, stored: dict[str, Any]) -> None:
    """Store the proofs ``stored`` in the session data, under a new session key.

    The key is renewed because a browser with these proofs has more rights (ASVS 7.2.4).
    """
    request.session.cycle_key()
    request.session[SHOWN] = {**stored, "at": clock.now().isoformat()}

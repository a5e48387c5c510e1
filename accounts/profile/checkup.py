"""Decides how well an account is protected, for the home page: four checks and the next step.

Nothing in this module queries the database: the caller loads the facts.
"""

from dataclasses import dataclass
from enum import StrEnum

from accounts.common.proofs import FEW_RECOVERY_CODES
from accounts.twofactor.services import Held


class Step(StrEnum):
    """What an account needs to be safer, the most useful first."""

    ADD_EMAIL = "add_email"
    ADD_PASSKEY = "add_passkey"
    TURN_ON_TWO_STEP = "turn_on_two_step"
    SAVE_CODES = "save_codes"
    MAKE_CODES = "make_codes"


@dataclass(frozen=True)
class Facts:
    """What the checks look at.

    ``email`` is the primary email address, or empty. ``emails`` counts the confirmed ones.
    """

    email: str
    emails: int
    has_password: bool
    has_provider: bool
    held: Held


@dataclass(frozen=True)
class Checkup:
    """The result of the four checks, and the facts behind them."""

    facts: Facts

    @property
    def has_passkey(self) -> bool:
        """Whether the account can be signed in to with a passkey."""
        return bool(self.facts.held.passkeys)

    @property
    def is_two_step(self) -> bool:
        """Whether two-step verification is on."""
        return bool(self.facts.held.count)

    @property
    def codes_left(self) -> int:
        """The number of unused recovery codes."""
        codes = self.facts.held.recovery_codes
        return codes.left if codes else 0

    @property
    def are_codes_saved(self) -> bool:
        """Whether the owner has confirmed that the recovery codes are saved."""
        codes = self.facts.held.recovery_codes
        return bool(codes and codes.saved_at)

    @property
    def is_recovery_good(self) -> bool:
        """Whether the owner can get back in after a loss.

        With two-step verification that takes recovery codes; without it, an email address.
        """
        if not self.is_two_step:
            return bool(self.facts.email)
        return self.are_codes_saved and self.codes_left > FEW_RECOVERY_CODES

    @property
    def has_email(self) -> bool:
        """Whether notices reach the owner."""
        return bool(self.facts.email)

    @property
    def to_improve(self) -> int:
        """How many of the four checks need attention."""
        checks = (self.has_passkey, self.is_two_step, self.is_recovery_good, self.has_email)
        return checks.count(False)

    @property
    def next_step(self) -> Step | None:
        """The first step that the account needs; None if all is well."""
        needed = {
            Step.ADD_EMAIL: not self.has_email,
            Step.ADD_PASSKEY: not self.has_passkey,
            Step.TURN_ON_TWO_STEP: not self.is_two_step,
            Step.SAVE_CODES: not self.are_codes_saved,
            Step.MAKE_CODES: self.codes_left <= FEW_RECOVERY_CODES,
        }
        return next((step for step, is_needed in needed.items() if is_needed), None)

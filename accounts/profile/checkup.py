"""Checks how well an account is protected, and suggests the next step to the owner.

The home page shows the result of four checks. This module does not query the database; the caller
passes the facts.
"""

from dataclasses import dataclass
from enum import StrEnum

from accounts.common.proofs import FEW_RECOVERY_CODES
from accounts.twofactor.services import Held


class Step(StrEnum):
    """A step that makes an account safer. The most useful step is the first."""

    ADD_EMAIL = "add_email"
    ADD_PASSKEY = "add_passkey"
    CONFIRM_PASSKEY = "confirm_passkey"
    TURN_ON_TWO_STEP = "turn_on_two_step"
    SAVE_CODES = "save_codes"
    MAKE_CODES = "make_codes"


@dataclass(frozen=True)
class Checkup:
    """The facts about an account, and the results of the four checks of its protection.

    The checks are: a passkey, two-step verification, a way to recover the account, and an email
    address.

    Attributes:
        email: the primary email address, or empty if there is none.
        emails: the number of confirmed email addresses.
        has_password: whether the user can sign in with a password.
        has_provider: whether the user can sign in with an external identity.
        held: the second factors and recovery codes of the account.
        has_declined: whether the user has declined a passkey lately.
    """

    email: str
    emails: int
    has_password: bool
    has_provider: bool
    held: Held
    has_declined: bool = False

    @property
    def has_passkey(self) -> bool:
        """Whether the account has a passkey, which may be unconfirmed."""
        return bool(self.held.passkeys or self.held.unconfirmed)

    @property
    def is_two_step(self) -> bool:
        """Whether two-step verification is on."""
        return bool(self.held.count)

    @property
    def codes_left(self) -> int:
        """The number of unused recovery codes."""
        codes = self.held.recovery_codes
        return codes.left if codes else 0

    @property
    def are_codes_saved(self) -> bool:
        """Whether the owner has confirmed that the recovery codes are saved."""
        codes = self.held.recovery_codes
        return bool(codes and codes.saved_at)

    @property
    def is_recovery_good(self) -> bool:
        """Whether the owner can recover the account after the loss of a password or second factor.

        If two-step verification is on, the owner needs enough saved recovery codes. If it is off,
        the owner needs an email address.
        """
        if not self.is_two_step:
            return bool(self.email)
        return self.are_codes_saved and self.codes_left > FEW_RECOVERY_CODES

    @property
    def has_email(self) -> bool:
        """Whether the account has an email address, to which security notices are sent."""
        return bool(self.email)

    @property
    def to_improve(self) -> int:
        """The number of the four checks that have failed."""
        checks = (self.has_passkey, self.is_two_step, self.is_recovery_good, self.has_email)
        return checks.count(False)

    @property
    def next_step(self) -> Step | None:
        """The most useful step that remains, or None if no step remains."""
        needed = {
            Step.ADD_EMAIL: not self.has_email,
            Step.ADD_PASSKEY: not (self.has_passkey or self.has_declined),
            Step.CONFIRM_PASSKEY: self.has_passkey and not self.held.passkeys,
            Step.TURN_ON_TWO_STEP: not self.is_two_step,
            Step.SAVE_CODES: not self.are_codes_saved,
            Step.MAKE_CODES: self.codes_left <= FEW_RECOVERY_CODES,
        }
        return next((step for step, is_needed in needed.items() if is_needed), None)

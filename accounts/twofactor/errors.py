"""Errors about second factors, with messages for people."""

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError
from accounts.common.proofs import Proof
from accounts.users.models import User


class WrongFactorCode(PublicError):
    """The code is wrong, used or expired. The answer does not say which."""

    code = "invalid_code"
    status = 401
    message = _(
        "That code is not right, or was used already. Wait for the next one; if that isn’t right "
        "either, check that your phone’s clock sets itself."
    )


class MailedCodeUsedUp(WrongFactorCode):
    """All attempts to enter the mailed code are used up."""

    message = _("That code was tried too often. Ask for a new one.")


class WrongSingleUseCode(WrongFactorCode):
    """A recovery code or mailed code is wrong or was used.

    Unlike ``WrongFactorCode``, the message gives no advice about the clock of the phone.
    """

    message = _("That code is not right, or was used already.")


class ClockIsOff(WrongFactorCode):
    """The code is right for another time.

    Raised only during enrolment. Elsewhere it would help somebody who guesses codes.
    """

    message = _(
        "That code is right for another time: your phone’s clock is some minutes off. Let it set "
        "itself, then enter the newest code."
    )


class TooManyFactors(PublicError):
    """The account has as many authenticators as it may have."""

    code = "too_many"
    message = _("You have as many authenticator apps as there can be. Remove one first.")


class Required(PublicError):
    """The last second factor of a person who must have one cannot be removed."""

    code = "factor_required"
    message = _("Your account must have a second factor. Add another one before you remove this.")


class PasskeyRequired(Required):
    """The last passkey of a person who must have a passkey cannot be removed."""

    message = _("Your account must have a passkey. Add another one before you remove this.")


class OnlyPasskeyLeft(PublicError):
    """The last passkey of a person without a password cannot be removed.

    Otherwise the mailbox alone would be enough to sign in.
    """

    code = "last_way_in"
    message = _("It is your only way in, apart from your mailbox. Set a password first.")


class WrongPasskey(PublicError):
    """The answer of the passkey was not accepted.

    It is wrong, expired or used, or the passkey has not verified its user. The message does not say
    which.
    """

    code = "invalid_passkey"
    status = 401
    message = _("That passkey didn’t work. Try again, or choose another way.")


class UnknownPasskey(WrongPasskey):
    """This site does not have the passkey, or no longer has it.

    ``credential_id`` lets the page tell the browser to forget the passkey.
    """

    message = _(
        "This site doesn’t have that passkey any more. Delete it where it is kept, and choose "
        "another way to sign in."
    )

    def __init__(self, credential_id: str) -> None:
        super().__init__()
        self.credential_id = credential_id


class LockedAccountPasskey(WrongPasskey):
    """The passkey is right, but its account is locked.

    ``proof`` counts as an older proof of ownership, because locking an account suspends passkeys
    that are too young to count.
    """

    def __init__(self, user: User, proof: Proof) -> None:
        super().__init__()
        self.user, self.proof = user, proof


class AlreadyThere(PublicError):
    """The authenticator already has a passkey for this account."""

    code = "already_there"
    message = _("That passkey is there already.")

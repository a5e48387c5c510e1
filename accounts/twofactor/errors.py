"""What can be wrong with a second factor, in words."""

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError
from accounts.common.proofs import Proof
from accounts.users.models import User


class WrongFactorCode(PublicError):
    """Wrong, used, old: one answer for all."""

    code = "invalid_code"
    status = 401
    message = _(
        "That code is not right, or was used already. Wait for the next one; if that isn’t right "
        "either, check that your phone’s clock sets itself."
    )


class MailedCodeUsedUp(WrongFactorCode):
    """The mailed code has had all its tries."""

    message = _("That code was tried too often. Ask for a new one.")


class WrongSingleUseCode(WrongFactorCode):
    """The same for who typed what no authenticator shows: no clock has to do with it."""

    message = _("That code is not right, or was used already.")


class ClockIsOff(WrongFactorCode):
    """Right for another moment. Only said while enrolling: elsewhere it would help to guess."""

    message = _(
        "That code is right for another time: your phone’s clock is some minutes off. Let it set "
        "itself, then enter the newest code."
    )


class TooManyFactors(PublicError):
    """Every authenticator that an account can have is there."""

    code = "too_many"
    message = _("You have as many authenticator apps as there can be. Remove one first.")


class Required(PublicError):
    """The last factor of somebody who must have one."""

    code = "factor_required"
    message = _("Your account must have a second factor. Add another one before you remove this.")


class PasskeyRequired(Required):
    """The last passkey of somebody for whom nothing else will do."""

    message = _("Your account must have a passkey. Add another one before you remove this.")


class OnlyPasskeyLeft(PublicError):
    """The last passkey of somebody without a password: a mailbox alone would be left."""

    code = "last_way_in"
    message = _("It is your only way in, apart from your mailbox. Set a password first.")


class WrongPasskey(PublicError):
    """The answer of the passkey is wrong, late or used, or its user not verified: all the same."""

    code = "invalid_passkey"
    status = 401
    message = _("That passkey didn’t work. Try again, or choose another way.")


class UnknownPasskey(WrongPasskey):
    """This site does not have the passkey, or not any more: the browser may forget it."""

    message = _(
        "This site doesn’t have that passkey any more. Delete it where it is kept, and choose "
        "another way to sign in."
    )

    def __init__(self, credential_id: str) -> None:
        super().__init__()
        self.credential_id = credential_id


class LockedAccountPasskey(WrongPasskey):
    """The account is locked, and the passkey is right: ``proof`` is one older proof of ownership.

    A passkey that is too young was suspended, so it is unknown here.
    """

    def __init__(self, user: User, proof: Proof) -> None:
        super().__init__()
        self.user, self.proof = user, proof


class AlreadyThere(PublicError):
    """The authenticator has a passkey for this account already."""

    code = "already_there"
    message = _("That passkey is there already.")

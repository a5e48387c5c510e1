"""Errors about second factors, with messages for users."""

from django.utils.translation import gettext_lazy as _

from accounts.codes.services import UsedUp
from accounts.common.errors import LastWayIn, PublicError, TooMany
from accounts.common.pages import absolute
from accounts.common.proofs import Proof
from accounts.users.models import User


class WrongFactorCode(PublicError):
    """The code is wrong, used or expired. The message does not say which."""

    code = "invalid_code"
    status = 401
    message = _(
        "That code isn’t right or has already been used. Wait for the next one. If "
        "that doesn’t work either, set your phone’s clock to update automatically."
    )


class MailedCodeUsedUp(WrongFactorCode):
    """The code from the email is no longer valid, because too many wrong codes were entered."""

    message = UsedUp.message


class WrongSingleUseCode(WrongFactorCode):
    """A recovery code, or a code that was sent by email, is wrong or used.

    Unlike that of ``WrongFactorCode``, the message does not mention the clock of the phone.
    """

    message = _("That code isn’t right or has already been used.")


class UnreadableFactor(WrongFactorCode):
    """The secret with which to check the code cannot be decrypted, so no code can be right."""

    message = _(
        "We can’t check your code because of a problem on our side. Use another way or contact "
        "support."
    )


class ClockIsOff(WrongFactorCode):
    """The code would be right at another time, because the clock of the phone is wrong.

    This is raised only when an authenticator app is added. At a sign-in, it would help somebody who
    guesses codes.
    """

    message = _(
        "Your phone’s clock is a few minutes off, so the code doesn’t match. Set the "
        "clock to update automatically, then enter the newest code."
    )


class TooManyFactors(TooMany):
    """The account has as many authenticator apps or passkeys as allowed."""

    message = _("You’ve reached the limit. Remove one before you add another.")


class NoFactor(PublicError):
    """The account has no second factor, for which recovery codes could be a fallback."""

    code = "no_factor"
    message = _("Add a passkey or an authenticator app first.")


class Required(PublicError):
    """The account must have a second factor, so the last one cannot be removed."""

    code = "factor_required"
    message = _(
        "Your account needs two-step verification. Add another passkey or "
        "authenticator app before you remove this one."
    )


class PasskeyRequired(Required):
    """The account must have a passkey, so the last one cannot be removed."""

    message = _("Your account needs a passkey. Add another one before you remove this one.")


class OnlyPasskeyLeft(LastWayIn):
    """The last passkey of an account without a password cannot be removed.

    Otherwise access to the mailbox would be enough to sign in.
    """

    message = _(
        "Without this passkey, anyone with access to your email could sign in. Set a "
        "password first."
    )


class WrongPasskey(PublicError):
    """The response of the passkey was not accepted.

    The response is wrong, expired or used, or the passkey has not verified the user. The message
    does not say which.
    """

    code = "invalid_passkey"
    status = 401
    message = _("That passkey didn’t work. Try again or sign in another way.")


class UnknownPasskey(WrongPasskey):
    """No account of this site has the passkey.

    The page passes ``credential_id`` to the browser, which can then delete the passkey.
    """

    code = "unknown_passkey"
    message = _(
        "That passkey no longer works here. Delete it from your device and sign in another way."
    )

    def __init__(self, credential_id: str) -> None:
        super().__init__()
        self.credential_id = credential_id


class LockedAccountPasskey(WrongPasskey):
    """The response of the passkey is valid, but the account is locked.

    ``proof``: can help to recover the account. The passkey counts as a proof of ownership, because
        the lock has suspended all passkeys that do not.
    """

    code = "locked_down"
    status = 403
    message = _(
        "This account was locked. Reset your password by email to unlock it, then "
        "review what the lock put aside."
    )

    def __init__(self, user: User, proof: Proof) -> None:
        super().__init__()
        self.user, self.proof = user, proof
        self.more = {"url": absolute("account_reset_password")}


class AlreadyThere(PublicError):
    """The account already has this passkey."""

    code = "already_there"
    message = _("You’ve already added that passkey.")

"""The errors of acts of staff."""

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError, RateLimited
from accounts.users.services import AccountChanged


class AlreadyDone(PublicError):
    """Nothing is left to do, perhaps because another member of staff was faster."""

    code = "already_done"
    status = 409
    message = _(
        "There’s nothing left to do. Somebody else may have changed this account meanwhile."
    )


class ChangedMeanwhile(AccountChanged):
    """The owner or staff changed the account at the same moment."""

    message = _("Somebody else has changed this account meanwhile. Check it, then try again.")


class JustSent(RateLimited):
    """The email was sent less than a minute ago, perhaps by another member of staff."""

    message = _(
        "This email was sent less than a minute ago, perhaps by somebody else. Wait a moment "
        "before you send it again."
    )


class JustCleared(RateLimited):
    """Staff have reset the limits of the account too often."""

    message = _(
        "The limits of this account were reset several times, perhaps by somebody else. Each time, "
        "an attacker can guess again. Wait half an hour before you reset them again."
    )


class FactorNeeded(PublicError):
    """One factor alone cannot be removed, because the account may not be without it."""

    code = "factor_required"
    message = _("The account can’t be without it. Remove all second factors instead.")


class CannotWait(PublicError):
    """Nobody could object to a request to remove the factors, or the address is too new."""

    code = "not_offered"
    message = _(
        "Waiting isn’t possible for this account. Remove the factors now, or ask an operator."
    )


class UnknownTarget(PublicError):
    """The account has no such address, session, factor or key, or the act needs one."""

    code = "invalid_target"
    message = _("Choose one from the list.")


class NoMode(PublicError):
    """The act does not have this mode."""

    code = "invalid_mode"
    message = _("Waiting isn’t possible for this. Choose to do it now.")

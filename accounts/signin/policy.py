"""The one judge of a sign-in: what is still missing, or whether it's refused."""

from enum import Enum

from django.utils.translation import gettext_lazy as _

from accounts.kernel.errors import PublicError
from accounts.kernel.proofs import Proof
from accounts.users.models import PendingSignup, User


class Missing(Enum):
    """What must still be shown before anyone is admitted."""

    CREDENTIAL = "credential"
    ADDRESS = "address"


class AccountInactive(PublicError):
    """The account was switched off. Said only to who has proved to own it."""

    code = "account_inactive"
    status = 403
    message = _("This account has been switched off.")


def missing(account: User | PendingSignup, proofs: tuple[Proof, ...]) -> Missing | None:
    """What ``account`` has yet to show beyond ``proofs``; None: let it in.

    :class:`AccountInactive` when nothing that it could show would do.
    """
    if not proofs:
        return Missing.CREDENTIAL
    if isinstance(account, PendingSignup):
        return Missing.ADDRESS
    if not account.is_active:
        raise AccountInactive
    return None

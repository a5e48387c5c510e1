"""Every model of the app, gathered for Django."""

from accounts.codes.models import Code
from accounts.mail.models import OutgoingMail
from accounts.throttle.models import Budget, FamiliarPlace
from accounts.users.models import Address, PendingSignup, User, Username

__all__ = [
    "Address",
    "Budget",
    "Code",
    "FamiliarPlace",
    "OutgoingMail",
    "PendingSignup",
    "User",
    "Username",
]

"""Every model of the app, gathered for Django."""

from accounts.activity.models import Activity
from accounts.addresses.models import PendingAddress
from accounts.codes.models import Code
from accounts.mail.models import OutgoingMail
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.throttle.models import Budget, FamiliarPlace
from accounts.users.models import Address, PendingSignup, User, Username

__all__ = [
    "Activity",
    "Address",
    "BrowserSession",
    "Budget",
    "Code",
    "FamiliarPlace",
    "LoginSession",
    "OutgoingMail",
    "PendingAddress",
    "PendingSignup",
    "User",
    "Username",
]

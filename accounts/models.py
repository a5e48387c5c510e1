"""Imports all models of the app, because Django looks for models in this module."""

from accounts.activity.models import Activity, DailyCount
from accounts.apikeys.models import APIKey
from accounts.codes.models import Code, UsedOnce
from accounts.emails.models import PendingEmail
from accounts.invitations.models import Invitation
from accounts.mail.models import MailReceipt, OutgoingMail
from accounts.oauth.grant_models import (
    AuthorizationCode,
    AuthorizationRequest,
    Connection,
    DeviceAuthorization,
    LogoutNotice,
    UnreadRequest,
)
from accounts.oauth.models import Client, ClientLogo, ClientSecret
from accounts.oauth.registration_tokens import RegistrationToken
from accounts.recovery.models import Recovery
from accounts.sessions.models import BrowserSession, KnownBrowser, LoginSession
from accounts.throttle.models import FamiliarPlace, Refusals, StoredBudget
from accounts.tokens.models import SigningKey, TokenChallenge
from accounts.twofactor.models import (
    Authenticator,
    Passkey,
    RecoveryCodes,
    TrustedBrowser,
)
from accounts.users.identities import Identity
from accounts.users.models import (
    EmailAddress,
    FormerCredential,
    NameSkeleton,
    PendingSignup,
    User,
    Username,
)

__all__ = [
    "APIKey",
    "Activity",
    "Authenticator",
    "AuthorizationCode",
    "AuthorizationRequest",
    "BrowserSession",
    "Client",
    "ClientLogo",
    "ClientSecret",
    "Code",
    "Connection",
    "DailyCount",
    "DeviceAuthorization",
    "EmailAddress",
    "FamiliarPlace",
    "FormerCredential",
    "Identity",
    "Invitation",
    "KnownBrowser",
    "LoginSession",
    "LogoutNotice",
    "MailReceipt",
    "NameSkeleton",
    "OutgoingMail",
    "Passkey",
    "PendingEmail",
    "PendingSignup",
    "Recovery",
    "RecoveryCodes",
    "Refusals",
    "RegistrationToken",
    "SigningKey",
    "StoredBudget",
    "TokenChallenge",
    "TrustedBrowser",
    "UnreadRequest",
    "UsedOnce",
    "User",
    "Username",
]

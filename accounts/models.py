"""Imports all models of the app, because Django looks for models in this module."""

from accounts.activity.models import Activity, DailyCount
from accounts.apikeys.models import APIKey
from accounts.calls.models import CreatingCall
from accounts.codes.models import Code, UsedOnce
from accounts.deletion.models import Erasure
from accounts.emails.models import PendingEmail
from accounts.exports.models import Export, ExportPart
from accounts.imports.models import ImportedFile
from accounts.invitations.models import Invitation
from accounts.mail.models import MailReceipt, MassMailPace, OutgoingMail
from accounts.ops.models import LastSuccess
from accounts.passwords.models import HashKind
from accounts.profile.models import Picture
from accounts.recovery.models import Recovery
from accounts.sessions.models import BrowserSession, KnownBrowser, LoginSession
from accounts.settingsfile.models import MadeByFile
from accounts.terms.models import TermsAcceptance
from accounts.throttle.models import FamiliarPlace, Refusals, StoredBudget
from accounts.tokens.models import SigningKey, TokenChallenge
from accounts.twofactor.models import (
    Authenticator,
    Passkey,
    RecoveryCodes,
    TrustedBrowser,
)
from accounts.users.models import (
    BlockedName,
    EmailAddress,
    FormerCredential,
    Identity,
    NameSkeleton,
    PendingSignup,
    User,
    Username,
)

"""The texts on the page of an export: headings of tables, labels of columns, words for values.

Optional apps define the words for their own columns in ``export_words``.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.admin.models import ACTION_FLAG_CHOICES
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.activity.events import EVENTS
from accounts.common import proofs
from accounts.common.localization import in_full, listed
from accounts.common.signals import registered
from accounts.recovery import checklist
from accounts.tokens import scopes
from accounts.twofactor.models import NAMES

# fmt: off
TITLES: dict[str, str | Promise] = {
    "accounts.User": _("Your account"),
    "accounts.EmailAddress": _("Email addresses"),
    "accounts.PendingEmail": _("Email addresses that aren’t confirmed yet"),
    "accounts.Username": _("Usernames"),
    "accounts.FormerCredential": _("What you’ve replaced or removed"),
    "accounts.PendingSignup": _("Sign-ups with your address that aren’t confirmed yet"),
    "accounts.Identity": _("Sign-in providers"),
    "accounts.User_groups": _("Groups"),
    "accounts.User_user_permissions": _("Rights"),
    "accounts.Activity": _("Activity"),
    "accounts.TermsAcceptance": _("Accepted terms"),
    "accounts.Picture": _("Profile picture"),
    "accounts.APIKey": _("API keys"),
    "accounts.LoginSession": _("Where you’re signed in"),
    "accounts.KnownBrowser": _("Browsers that we recognise"),
    "accounts.FamiliarPlace": _("Networks that we recognise"),
    "accounts.TrustedBrowser": _("Trusted browsers"),
    "accounts.Authenticator": _("Authenticator apps"),
    "accounts.RecoveryCodes": _("Recovery codes"),
    "accounts.Passkey": _("Passkeys and security keys"),
    "accounts.Recovery": _("Recovery of your account"),
    "accounts.Invitation": _("Invitations"),
    "accounts.OutgoingMail": _("Emails to you that wait to be sent"),
    "accounts.MailReceipt": _("Emails that we’ve sent you"),
    "admin.LogEntry": _("Changes in the administration"),
    "administration.BulkAct": _("Actions on many people"),
    "administration.BulkPerson": _("What staff did with your account"),
    "oauth.Connection": _("Connected apps"),
    "scim.ManagedUser": _("How your organisation names you"),
    "oauth.PairwiseSubject": _("Your IDs at apps"),
    "oauth.AppSession": _("Where apps are signed in"),
}
LABELS: dict[str, str | Promise] = {
    "accounts.Username.key": _("Username"), "id": _("ID"), "username": _("Username"),
    "email": _("Email address"),
    "display_name": _("Display name"), "given_name": _("First name"),
    "family_name": _("Last name"), "about": _("About you"), "language": _("Language"),
    "content": _("File"), "time_zone": _("Time zone"),
    "date_joined": _("Signed up"), "last_login": _("Last signed in"),
    "password_at": _("Password set"), "passkey_declined_at": _("Passkey declined"),
    "updated_at": _("Profile changed"), "is_active": _("Active"), "is_staff": _("Staff"),
    "is_superuser": _("Superuser"), "emailed_codes": _("Emailed codes as the second step"),
    "locked_at": _("Locked"), "horizon": _("Before the first wrong change"),
    "deletion_due": _("Will be deleted"), "confirmed_at": _("Confirmed"),
    "vouched_at": _("Confirmed by Support"),
    "expires_at": _("Expires"), "key": _("Key"), "held_until": _("Username reserved until"),
    "kind": _("Kind"), "label": _("Label"), "since": _("Since"), "removed_at": _("Removed"),
    "is_suspended": _("Put aside"), "next": _("Next page"), "wide_network": _("Network"),
    "terms_version": _("Accepted terms"), "issuer": _("Provider"), "subject": _("ID there"),
    "connected_at": _("Connected"), "used_at": _("Last used"), "suspended_at": _("Put aside"),
    "group": _("Group"), "permission": _("Right"), "at": _("Time"), "detail": _("Details"),
    "ip": _("IP address"), "browser": _("Browser"), "system": _("Operating system"),
    "proof": _("Confirmed with"), "session": _("Sign-in"), "reason": _("Reason"),
    "version": _("Version"), "accepted_at": _("Accepted"), "name": _("Name"),
    "scope": _("Rights"), "staff_scope": _("Rights in the staff API"), "made_at": _("Created"),
    "told_at": _("Notified"), "agent": _("Client"), "amr": _("Signed in with"),
    "auth_time": _("Last confirmed"), "factor_at": _("Passkey or code shown"),
    "passkey_at": _("Passkey shown"), "stepped_up_at": _("Older passkey or code shown"),
    "begun_at": _("Began"), "idle_at": _("Ends without use"), "ends_at": _("Ends"),
    "signed_out_at": _("Signed out"),
    "ended_at": _("Ended"), "is_remembered": _("Stays signed in"), "ended_by": _("Ended by"),
    "challenged_at": _("Asked to confirm"), "rotated_at": _("Tokens renewed"),
    "pairwise_subject": _("Your ID at the app"), "until": _("Until"), "saved_at": _("Saved"),
    "aaguid": _("Model"), "transports": _("Connection"), "is_synced": _("Synced"),
    "credential_id": _("ID of the passkey"), "public_key": _("Public key"),
    "opened_at": _("Opened"), "asked_at": _("Asked"), "warned_at": _("Warned"),
    "stopped_at": _("Stopped"), "support_asked_at": _("Support asked"),
    "opened_with": _("Opened with"), "asked": _("Asked with"), "stopped": _("Stopped"),
    "stopped_by": _("Stopped with"),
    "at_support": _("Shown to Support"), "lone_locks": _("Locked with one email address"),
    "user_name": _("Username"), "external_id": _("ID"),
    "created_at": _("Created"), "heading": _("Heading"), "done_at": _("Sent"),
    "failure": _("Problem"), "action_time": _("Time"), "action_flag": _("Kind"), "act": _("Act"),
    "started_at": _("Began"), "outcome": _("Outcome"), "client": _("App"),
    "audience": _("Service"), "sector": _("Company"),
}
# fmt: on


def _provider(issuer: str) -> str:
    return {known.issuer: known.name for known in settings.AUTHSITE.issuers}.get(issuer, issuer)


def _kinds(kinds: Iterable[str]) -> str:
    words = {kind.value: label for kind, (label, _icon) in checklist.WORDS.items()}
    return listed(map(one_of(words), dict.fromkeys(kinds)))


def _things(shown: Iterable[Sequence[str]]) -> str:
    return _kinds(kind for kind, *_others in shown)


def _locks(times: dict[str, str]) -> str:
    found = {key: parse_datetime(at) for key, at in times.items()}
    return "; ".join(f"{key}: {in_full(at) if at else times[key]}" for key, at in found.items())


def one_of(words: Mapping[Any, Any]) -> Callable[[Any], str]:
    """Return a function that returns the words for a value, or an unknown value itself."""
    return lambda value: str(words.get(value, value))


_EVENTS = {name: event.sentence for name, event in EVENTS.items()}
# For each column: a function that returns a value in words. The name of a column that several
# tables have begins with the label of its table.
_VALUES: dict[str, Callable[[Any], str]] = {
    # The page shows only the size. ``data.json`` contains the whole picture.
    "accounts.Picture.content": lambda text: f"WebP, {len(text) * 3 // 4} B",
    **dict.fromkeys(("accounts.Activity.kind", "ended_by"), one_of(_EVENTS)),
    "proof": lambda amr: proofs.in_words(amr.split()),
    "amr": proofs.in_words,
    **dict.fromkeys(("scope", "staff_scope"), lambda text: scopes.in_words(text.split())),
    "issuer": _provider,
    "language": one_of(dict(settings.LANGUAGES)),
    "aaguid": one_of(NAMES),
    "asked": _things,
    "stopped_by": _things,
    "accounts.Recovery.stopped": _kinds,
    "at_support": lambda cases: "; ".join(map(_things, cases)),
    "lone_locks": _locks,
    "action_flag": one_of(dict(ACTION_FLAG_CHOICES)),
    "accounts.LoginSession.kind": one_of(
        {"browser": _("Browser"), "api": _("API"), "app": _("App"), "connected": _("Connected app")}
    ),
    "accounts.FormerCredential.kind": one_of(
        {
            "password": _("Password"),
            "email": _("Email address"),
            "factor": _("Passkey or authenticator app"),
            "recovery_codes": _("Recovery codes"),
        }
    ),
}


@cache
def formatters() -> dict[str, Callable[[Any], str]]:
    """Return the functions that put values into words, by column, including those of apps."""
    return dict(ChainMap(*registered("export_words"), _VALUES))

"""The kinds of events of the security history, and why sign-ins fail.

``docs/events.md`` is generated from this module.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Group(StrEnum):
    """A group of events by which users can filter their history."""

    SIGN_IN = "sign-in"
    FAILURE = "failure"
    CHANGE = "change"


GROUPS: dict[Group, str | Promise] = {
    Group.SIGN_IN: _("Sign-ins"),
    Group.FAILURE: _("Failed attempts"),
    Group.CHANGE: _("Changes"),
}


# Compared by identity, because the hash of a translated sentence depends on the language.
@dataclass(frozen=True, eq=False)
class Event:
    """A kind of event.

    ``name`` is stored in the database, so it never changes. ``sentence`` describes the event to the
    owner of the account. If ``mail`` is set, the owner is notified by email.
    """

    name: str
    group: Group
    sentence: str | Promise
    mail: bool = False


APP_REGISTERED = Event("app_registered", Group.CHANGE, _("An app was registered."), mail=True)
# Without an email: whoever has a registration token could fill the mailboxes of all superusers.
APP_SELF_REGISTERED = Event(
    "app_self_registered", Group.CHANGE, _("An app registered itself with a token.")
)
APP_CHANGED = Event("app_changed", Group.CHANGE, _("An app was changed."), mail=True)
APP_SECRET_MADE = Event("app_secret_made", Group.CHANGE, _("An app got a new secret."), mail=True)
APP_DISABLED = Event("app_disabled", Group.CHANGE, _("An app was disabled."), mail=True)
APP_ENABLED = Event("app_enabled", Group.CHANGE, _("An app was enabled."), mail=True)
REGISTRATION_TOKEN_MADE = Event(
    "registration_token_made",
    Group.CHANGE,
    _("A registration token was created."),
    mail=True,
)
REGISTRATION_TOKEN_REVOKED = Event(
    "registration_token_revoked",
    Group.CHANGE,
    _("A registration token was revoked."),
    mail=True,
)


SIGNED_UP = Event("signed_up", Group.CHANGE, _("The account was created."))
SIGNED_IN = Event("signed_in", Group.SIGN_IN, _("Signed in."))
SIGNED_IN_NEW = Event("signed_in_new", Group.SIGN_IN, _("Signed in from a new browser."), mail=True)
SIGNED_IN_NETWORK = Event(
    "signed_in_network",
    Group.SIGN_IN,
    _("Signed in from a new network with a known browser."),
    mail=True,
)
CLIENT_SIGNED_IN = Event(
    "client_signed_in", Group.SIGN_IN, _("A program signed in through the API.")
)
CLIENT_SIGNED_IN_NEW = Event(
    "client_signed_in_new",
    Group.SIGN_IN,
    _("A program signed in through the API from a new network or client."),
    mail=True,
)
CLIENT_SIGNED_OUT = Event("client_signed_out", Group.SIGN_IN, _("A program signed out of the API."))
TOKEN_EXCHANGED = Event(
    "token_exchanged", Group.SIGN_IN, _("A program exchanged an access token for a new one.")
)
TOKEN_REUSED = Event(
    "token_reused",
    Group.FAILURE,
    _("A refresh token was used twice, so someone may have copied it. Its session was ended."),
    mail=True,
)
SIGNED_OUT = Event("signed_out", Group.SIGN_IN, _("Signed out."))
PROOF_GIVEN = Event("proof_given", Group.SIGN_IN, _("Your identity was confirmed again."))
SESSION_ENDED = Event("session_ended", Group.SIGN_IN, _("Another session was signed out."))
SESSION_ENDED_BY_LIMIT = Event(
    "session_ended_by_limit",
    Group.SIGN_IN,
    _("The least recently used session was signed out because the session limit was reached."),
)
OTHERS_ENDED = Event("others_ended", Group.SIGN_IN, _("All other sessions were signed out."))
# The detail is a :class:`Failure`.
SIGN_IN_FAILED = Event("sign_in_failed", Group.FAILURE, _("A sign-in failed."))
PROOF_FAILED = Event("proof_failed", Group.FAILURE, _("Your identity couldn’t be confirmed."))
PROOF_GUESSED = Event(
    "proof_guessed",
    Group.FAILURE,
    _("Someone who’s signed in as you failed the identity check five times."),
    mail=True,
)
BROWSER_CHANGED = Event(
    "browser_changed",
    Group.FAILURE,
    _("Another browser used a session and was asked to confirm that it’s you."),
)
BROWSER_PROVED = Event(
    "browser_proved",
    Group.SIGN_IN,
    _("Another browser passed the identity check and is now using a session."),
    mail=True,
)
SESSION_STOPPED = Event(
    "session_stopped",
    Group.FAILURE,
    _("A session was ended because another browser used it."),
    mail=True,
)
PASSWORD_CHANGED = Event(
    "password_changed", Group.CHANGE, _("The password was changed."), mail=True
)
PASSWORD_RESET = Event(
    "password_reset", Group.CHANGE, _("The password was reset by email."), mail=True
)
PASSWORD_SET = Event("password_set", Group.CHANGE, _("A password was set."), mail=True)
ADDRESS_ADDED = Event("address_added", Group.CHANGE, _("An email address was added."), mail=True)
ADDRESS_REMOVED = Event(
    "address_removed", Group.CHANGE, _("An email address was removed."), mail=True
)
PRIMARY_CHANGED = Event(
    "primary_changed", Group.CHANGE, _("The primary email address was changed."), mail=True
)
RENAMED = Event("renamed", Group.CHANGE, _("The username was changed."), mail=True)
PROFILE_CHANGED = Event("profile_changed", Group.CHANGE, _("The profile was changed."))
PROFILE_READ = Event(
    "profile_read", Group.CHANGE, _("A member of staff viewed the profile through the API.")
)
# The detail is the role of the member of staff: see ``history.ROLES``.
PAGE_OPENED = Event(
    "page_opened", Group.CHANGE, _("A member of staff opened the page about this account.")
)
# The detail is the role, as of ``PAGE_OPENED``.
DETAILS_READ = Event(
    "details_read", Group.CHANGE, _("A member of staff read all details of this account.")
)
DETAILS_SEEN = Event(
    "details_seen", Group.CHANGE, _("Read all details of another account as staff.")
)
FACTOR_ADDED = Event("factor_added", Group.CHANGE, _("An authenticator app was added."), mail=True)
FACTOR_RENAMED = Event("factor_renamed", Group.CHANGE, _("An authenticator app was renamed."))
FACTOR_REMOVED = Event(
    "factor_removed", Group.CHANGE, _("An authenticator app was removed."), mail=True
)
PASSKEY_ADDED = Event("passkey_added", Group.CHANGE, _("A passkey was added."), mail=True)
PASSKEY_MADE = Event(
    "passkey_made",
    Group.CHANGE,
    _("The browser saved a passkey after a sign-in with the password."),
    mail=True,
)
PASSKEY_CONFIRMED = Event(
    "passkey_confirmed", Group.CHANGE, _("A passkey was enabled as a second factor."), mail=True
)
PASSKEY_RENAMED = Event("passkey_renamed", Group.CHANGE, _("A passkey was renamed."))
PASSKEY_REMOVED = Event("passkey_removed", Group.CHANGE, _("A passkey was removed."), mail=True)
PASSKEY_SUSPECT = Event(
    "passkey_suspect",
    Group.FAILURE,
    _("A passkey was refused: its usage counter went backwards, so it may have been copied."),
    mail=True,
)
BROWSER_TRUSTED = Event(
    "browser_trusted",
    Group.CHANGE,
    _("A browser was marked as trusted, so it skips two-step verification."),
    mail=True,
)
TRUST_ENDED = Event("trust_ended", Group.CHANGE, _("A browser is no longer trusted."))
FACTORS_RESET = Event(
    "factors_reset", Group.CHANGE, _("All second factors were removed."), mail=True
)
FACTORS_RECOVERED = Event(
    "factors_recovered",
    Group.CHANGE,
    _("All second factors were removed after someone reported them lost."),
    mail=True,
)
FACTOR_FAILED = Event(
    "factor_failed", Group.FAILURE, _("A sign-in passed the first step but failed the second.")
)
FACTOR_FAILED_NEW = Event(
    "factor_failed_new",
    Group.FAILURE,
    _("A sign-in from a new browser passed the first step but failed the second."),
    mail=True,
)
FACTOR_BLOCKED = Event(
    "factor_blocked",
    Group.FAILURE,
    _("A sign-in passed the first step but was blocked after too many wrong codes."),
    mail=True,
)
RECOVERY_CODES_MADE = Event(
    "recovery_codes_made",
    Group.CHANGE,
    _("New recovery codes were created. The old ones no longer work."),
    mail=True,
)
RECOVERY_CODE_USED = Event(
    "recovery_code_used", Group.SIGN_IN, _("A recovery code was used."), mail=True
)
EMAILED_CODES_ON = Event(
    "emailed_codes_on",
    Group.CHANGE,
    _("Emailed codes were turned on for the second step."),
    mail=True,
)
EMAILED_CODES_OFF = Event(
    "emailed_codes_off", Group.CHANGE, _("Emailed codes were turned off for the second step.")
)
# ``accounts.recovery`` sends the emails about this event itself: they go to every address and
# contain a link to object.
RECOVERY_ASKED = Event(
    "recovery_asked",
    Group.CHANGE,
    _("Someone asked to recover the account without the password or second factors."),
)
RECOVERY_CANCELLED = Event(
    "recovery_cancelled",
    Group.CHANGE,
    _("The request to recover the account without the password or second factors was cancelled."),
    mail=True,
)
PROVIDER_CONNECTED = Event(
    "provider_connected",
    Group.CHANGE,
    _("An account at another site was connected."),
    mail=True,
)
PROVIDER_DISCONNECTED = Event(
    "provider_disconnected",
    Group.CHANGE,
    _("An account at another site was disconnected."),
    mail=True,
)
KEY_MADE = Event("key_made", Group.CHANGE, _("An API key was created."), mail=True)
KEY_ENDED = Event("key_ended", Group.CHANGE, _("An API key was removed."), mail=True)
KEY_ALLOWED = Event("key_allowed", Group.CHANGE, _("An API key may use the staff API."), mail=True)
KEY_DISALLOWED = Event(
    "key_disallowed", Group.CHANGE, _("An API key may no longer use the staff API."), mail=True
)
KEY_EXPIRES = Event(
    "key_expires",
    Group.CHANGE,
    _("An API key will expire within a week. If you still use it, replace it with a new one."),
    mail=True,
)
SUSPENDED = Event(
    "suspended",
    Group.CHANGE,
    _("Locking your account suspended an item. Review it to decide whether to keep it."),
)
PUT_BACK = Event(
    "put_back", Group.CHANGE, _("A suspended or removed item was restored."), mail=True
)
SUSPENDED_DELETED = Event(
    "suspended_deleted", Group.CHANGE, _("A suspended item was deleted."), mail=True
)
REVIEWED = Event("reviewed", Group.CHANGE, _("The account review was finished."), mail=True)
REVIEW_ENDED = Event(
    "review_ended",
    Group.CHANGE,
    _(
        "The account review wasn’t finished within 30 days. Everything that was still "
        "suspended was deleted."
    ),
    mail=True,
)
LOCKED_DOWN = Event("locked_down", Group.CHANGE, _("The account was locked."), mail=True)
ALL_ENDED = Event("all_ended", Group.CHANGE, _("All sessions were signed out."), mail=True)
RESET_SENT = Event(
    "reset_sent", Group.CHANGE, _("A link to set a new password was sent."), mail=True
)
CONFIRMATION_SENT = Event(
    "confirmation_sent", Group.CHANGE, _("A new confirmation email was sent."), mail=True
)
ENDED_BY_STAFF = Event("ended_by_staff", Group.SIGN_IN, _("A session was signed out."), mail=True)
LIMITS_CLEARED = Event("limits_cleared", Group.CHANGE, _("The limits on sign-in were reset."))
LOCK_LIFTED = Event("lock_lifted", Group.CHANGE, _("The account was unlocked."), mail=True)
STAFF_ACTED = Event("staff_acted", Group.CHANGE, _("Acted on another account as staff."))
RIGHTS_CHANGED = Event(
    "rights_changed", Group.CHANGE, _("The account’s rights were changed."), mail=True
)
STAFF_GRANTED = Event(
    "staff_granted", Group.CHANGE, _("The account was given staff rights."), mail=True
)
STAFF_WITHDRAWN = Event(
    "staff_withdrawn", Group.CHANGE, _("The account’s staff rights were removed."), mail=True
)
SUPERUSER_GRANTED = Event(
    "superuser_granted", Group.CHANGE, _("The account was given superuser rights."), mail=True
)
SUPERUSER_WITHDRAWN = Event(
    "superuser_withdrawn",
    Group.CHANGE,
    _("The account’s superuser rights were removed."),
    mail=True,
)
STAFF_CHANGED = Event(
    "staff_changed",
    Group.CHANGE,
    _("The rights or status of a member of staff were changed."),
    mail=True,
)
INVITED = Event(
    "invited", Group.CHANGE, _("An invitation to create an account was sent."), mail=True
)
INVITATION_REVOKED = Event("invitation_revoked", Group.CHANGE, _("An invitation was revoked."))
INVITATION_ACCEPTED = Event("invitation_accepted", Group.CHANGE, _("An invitation was accepted."))
APP_CONNECTED = Event("app_connected", Group.CHANGE, _("An app was connected."), mail=True)
DEVICE_CONNECTED = Event("device_connected", Group.CHANGE, _("A device was connected."), mail=True)
APP_DISCONNECTED = Event("app_disconnected", Group.CHANGE, _("An app was disconnected."), mail=True)
CODE_REUSED = Event(
    "code_reused",
    Group.FAILURE,
    _(
        "A sign-in code of an app was used twice, so someone may have copied it. The app was "
        "signed out."
    ),
    mail=True,
)
SWITCHED_OFF = Event("switched_off", Group.CHANGE, _("The account was deactivated."), mail=True)
SWITCHED_ON = Event("switched_on", Group.CHANGE, _("The account was reactivated."), mail=True)

_ALL = tuple(globals().values())
EVENTS = {event.name: event for event in _ALL if isinstance(event, Event)}


def names(*events: Event) -> frozenset[str]:
    """Return the names of ``events``."""
    return frozenset(event.name for event in events)


# Nobody has access after these events, neither with a credential nor by an app.
ACCESS_ENDED = names(LOCKED_DOWN, SWITCHED_OFF)


class Failure(StrEnum):
    """Why a sign-in failed. ``UNCHECKED``: no attempts were left, so every password was refused."""

    PASSWORD = "password"  # noqa: S105 the name of a reason
    UNCHECKED = "unchecked"
    CODE = "code"
    PASSKEY = "passkey"
    LOCKED = "locked"
    SWITCHED_OFF = "switched_off"


WORDS: dict[str, str | Promise] = {
    Failure.PASSWORD: _("Wrong password"),
    Failure.UNCHECKED: _("Too many attempts, so the password wasn’t checked"),
    Failure.CODE: _("Wrong code"),
    Failure.PASSKEY: _("The passkey wasn’t accepted"),
    Failure.LOCKED: _("The account was locked"),
    Failure.SWITCHED_OFF: _("The account was deactivated"),
}

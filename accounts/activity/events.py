"""The kinds of events of the security history, and the reasons why a sign-in fails.

``docs/events.md`` is generated from this module.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common.localization import without_full_stop


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
@dataclass(eq=False)
class Event:
    """A kind of event.

    ``sentence``: describes the event to the owner of the account.
    ``mail``: whether the owner is notified by email. A text is also the subject of the email, for
        events whose sentence is too long for a subject or does not say whose account is concerned.
    ``says_more``: whether the email needs the sentence, because it says more than the subject.
    ``name``: the name of the constant, in lowercase. The database stores it, so it never changes.
    ``type``: the type of the event in webhooks and the event log; empty if it has none.
    """

    sentence: str | Promise
    mail: bool | str | Promise = False
    group: Group = Group.CHANGE
    says_more: bool = False
    name: str = field(init=False)
    type: str = field(init=False, default="")

    @property
    def subject(self) -> str:
        """The subject of the email, without a full stop."""
        return without_full_stop(str(self.sentence if self.mail is True else self.mail))


APP_REGISTERED = Event(_("An app was registered."), mail=True)
# Without an email, because anyone who has a registration token could flood all superusers with
# emails.
APP_SELF_REGISTERED = Event(_("An app registered itself with a token."))
APP_CHANGED = Event(_("An app was changed."), mail=True)
APP_SECRET_MADE = Event(_("An app got a new secret."), mail=True)
APP_DISABLED = Event(_("An app was disabled."), mail=True)
APP_ENABLED = Event(_("An app was enabled."), mail=True)
REGISTRATION_TOKEN_MADE = Event(_("A registration token was created."), mail=True)
REGISTRATION_TOKEN_REVOKED = Event(_("A registration token was revoked."), mail=True)


SIGNED_UP = Event(_("The account was created."))
IMPORTED = Event(_("The account was imported from another system."))
TERMS_ACCEPTED = Event(_("The terms of this site were accepted."))
SIGNED_IN = Event(_("Signed in."), group=Group.SIGN_IN)
SIGNED_IN_NEW = Event(
    _("Signed in from a new browser."), mail=_("Sign-in from a new browser"), group=Group.SIGN_IN
)
SIGNED_IN_NETWORK = Event(
    _("Signed in from a new network with a known browser."),
    mail=_("Sign-in from a new network"),
    group=Group.SIGN_IN,
    says_more=True,
)
# The detail of these events is the name of the provider, if the user signed in with one.
SIGN_INS = (SIGNED_IN, SIGNED_IN_NEW, SIGNED_IN_NETWORK)
CLIENT_SIGNED_IN = Event(_("A program signed in through the API."), group=Group.SIGN_IN)
CLIENT_SIGNED_IN_NEW = Event(
    _("A program signed in through the API from a new network or client."),
    mail=_("A program signed in to your account"),
    group=Group.SIGN_IN,
    says_more=True,
)
CLIENT_SIGNED_OUT = Event(_("A program signed out of the API."), group=Group.SIGN_IN)
TOKEN_EXCHANGED = Event(
    _("A program exchanged an access token for a new one."), group=Group.SIGN_IN
)
TOKEN_REUSED = Event(
    _("A program’s token was used twice and may have been copied. The program was signed out."),
    mail=_("A program was signed out because its token was used twice"),
    group=Group.FAILURE,
    says_more=True,
)
SIGNED_OUT = Event(_("Signed out."), group=Group.SIGN_IN)
PROOF_GIVEN = Event(_("Confirmed that it’s you."), group=Group.SIGN_IN)
SESSION_ENDED = Event(_("Another device was signed out."), group=Group.SIGN_IN)
SESSION_ENDED_BY_LIMIT = Event(
    _("Too many devices were signed in, so the device that was unused for longest was signed out."),
    group=Group.SIGN_IN,
)
OTHERS_ENDED = Event(_("All other devices were signed out."), group=Group.SIGN_IN)
# The detail is a :class:`Failure`.
SIGN_IN_FAILED = Event(_("A sign-in failed."), group=Group.FAILURE)
PROOF_FAILED = Event(_("Someone tried to confirm that it’s you, and failed."), group=Group.FAILURE)
PROOF_GUESSED = Event(
    _("Someone who’s signed in to your account failed five times to confirm that it’s you."),
    mail=_("Someone failed five times to confirm that it’s you"),
    group=Group.FAILURE,
    says_more=True,
)
LOCK_ASKED = Event(
    _("Someone who’s signed in to your account asked for a link to lock your account."),
    mail=_("Your link to lock your account"),
    group=Group.SIGN_IN,
    says_more=True,
)
SUPPORT_ASKED = Event(
    _("Someone asked our team to decide who owns your account."),
    mail=True,
    group=Group.CHANGE,
)
FORMER_GUESSED = Event(
    _("Someone tried five wrong passwords to recover your account."),
    mail=_("Someone tried to recover your account with wrong passwords"),
    group=Group.FAILURE,
    says_more=True,
)
BROWSER_CHANGED = Event(
    _("Another browser took over your sign-in, so we asked it to confirm that it’s you."),
    group=Group.FAILURE,
)
BROWSER_PROVED = Event(
    _("Another browser took over your sign-in, and confirmed that it’s you."),
    mail=_("Another browser took over your sign-in"),
    group=Group.SIGN_IN,
    says_more=True,
)
SESSION_STOPPED = Event(
    _("A device was signed out because another browser took over its sign-in."),
    mail=True,
    group=Group.FAILURE,
)
PASSWORD_CHANGED = Event(_("The password was changed."), mail=_("Your password was changed"))
PASSWORD_RESET = Event(
    _("The password was reset by email."), mail=_("Your password was reset"), says_more=True
)
PASSWORD_SET = Event(_("A password was set."), mail=_("Your account now has a password"))
ADDRESS_ADDED = Event(_("An email address was added."), mail=True)
ADDRESS_REMOVED = Event(_("An email address was removed."), mail=True)
PRIMARY_CHANGED = Event(
    _("The primary email address was changed."), mail=_("Your primary email address was changed")
)
RENAMED = Event(_("The username was changed."), mail=_("Your username was changed"))
PROFILE_CHANGED = Event(_("The profile was changed."), mail=_("Your profile was changed"))
PROFILE_READ = Event(_("A member of staff viewed the profile through the API."))
# The detail is the role of the member of staff: see ``history.ROLES``.
PAGE_OPENED = Event(_("A member of staff opened the page about this account."))
# The detail is the role, as in ``PAGE_OPENED``.
DETAILS_READ = Event(_("A member of staff read all details of this account."))
DETAILS_SEEN = Event(_("Read all details of another account as staff."))
FACTOR_ADDED = Event(_("An authenticator app was added."), mail=True)
FACTOR_RENAMED = Event(_("An authenticator app was renamed."))
FACTOR_REMOVED = Event(_("An authenticator app was removed."), mail=True)
PASSKEY_ADDED = Event(_("A passkey was added."), mail=True)
PASSKEY_MADE = Event(
    _("The browser saved a passkey after a sign-in with the password."),
    mail=_("Your browser saved a passkey"),
    says_more=True,
)
PASSKEY_CONFIRMED = Event(
    _("A passkey was enabled as the second step."),
    mail=_("You can now use your passkey as the second step"),
)
PASSKEY_RENAMED = Event(_("A passkey was renamed."))
PASSKEY_REMOVED = Event(_("A passkey was removed."), mail=True)
PASSKEY_SUSPECT = Event(
    _("A passkey was refused: its usage counter went backwards, so it may have been copied."),
    mail=_("A passkey was refused because it may have been copied"),
    group=Group.FAILURE,
    says_more=True,
)
BROWSER_TRUSTED = Event(
    _("A browser was marked as trusted, so it skips two-step verification."),
    mail=_("A browser is now trusted"),
    says_more=True,
)
BROWSER_FORGOTTEN = Event(_("A browser that we recognised was forgotten."), group=Group.SIGN_IN)
TRUST_ENDED = Event(_("A browser is no longer trusted."))
FACTORS_RESET = Event(
    _("All passkeys and authenticator apps were removed."),
    mail=_("Your passkeys and authenticator apps were removed"),
)
FACTORS_RECOVERED = Event(
    _("All passkeys and authenticator apps were removed after someone reported them lost."),
    mail=_("Your passkeys and authenticator apps were removed as requested"),
    says_more=True,
)
FACTOR_FAILED = Event(
    _("A sign-in passed the first step but failed the second."), group=Group.FAILURE
)
FACTOR_FAILED_NEW = Event(
    _("A sign-in from a new browser passed the first step but failed the second."),
    mail=_("A sign-in failed at the second step"),
    group=Group.FAILURE,
    says_more=True,
)
FACTOR_BLOCKED = Event(
    _("A sign-in passed the first step but was blocked after too many wrong codes."),
    mail=_("A sign-in was blocked after too many wrong codes"),
    group=Group.FAILURE,
)
RECOVERY_CODES_MADE = Event(
    _("New recovery codes were created. The old ones no longer work."),
    mail=_("You have new recovery codes"),
    says_more=True,
)
RECOVERY_CODE_USED = Event(_("A recovery code was used."), mail=True, group=Group.SIGN_IN)
EMAILED_CODES_ON = Event(
    _("Emailed codes were turned on for the second step."),
    mail=_("Emailed codes were turned on"),
    says_more=True,
)
EMAILED_CODES_OFF = Event(_("Emailed codes were turned off for the second step."))
# ``accounts.recovery`` sends the emails about this event itself: they go to every address and
# contain a link to object.
RECOVERY_ASKED = Event(
    _("Someone asked to recover the account without its password, passkeys or codes.")
)
RECOVERY_CANCELLED = Event(
    _("The request to recover the account without its password, passkeys or codes was cancelled."),
    mail=_("A request to recover your account was cancelled"),
    says_more=True,
)
PROVIDER_CONNECTED = Event(
    _("An account at another site was connected."),
    mail=_("A new way to sign in was added"),
    says_more=True,
)
PROVIDER_DISCONNECTED = Event(
    _("An account at another site was disconnected."),
    mail=_("A way to sign in was removed"),
    says_more=True,
)
KEY_MADE = Event(_("An API key was created."), mail=True)
KEY_ENDED = Event(_("An API key was revoked."), mail=True)
KEY_ALLOWED = Event(_("An API key can now use the staff API."), mail=True)
KEY_DISALLOWED = Event(_("An API key can no longer use the staff API."), mail=True)
KEY_EXPIRES = Event(
    _("An API key will expire within a week. If you still use it, replace it with a new one."),
    mail=_("One of your API keys will expire within a week"),
    says_more=True,
)
EXPORT_REQUESTED = Event(
    _("A copy of all data about you was requested."),
    mail=_("A copy of your data was requested"),
    says_more=True,
)
EXPORT_FETCHED = Event(
    _("The copy of all data about you was downloaded."),
    mail=_("The copy of your data was downloaded"),
    says_more=True,
)
SUSPENDED = Event(_("The lock put an item aside. Keep or delete the item in your review."))
PUT_BACK = Event(
    _("An item that was put aside or removed was restored."),
    mail=_("An item was restored to your account"),
    says_more=True,
)
SUSPENDED_DELETED = Event(
    _("An item that was put aside was deleted."),
    mail=_("An item that was put aside was deleted from your account"),
    says_more=True,
)
REVIEWED = Event(
    _("The account review was finished."), mail=_("The review of your account is finished")
)
REVIEW_ENDED = Event(
    _(
        "The account review wasn’t finished within 30 days. Everything that was "
        "still put aside was deleted."
    ),
    mail=_("The review of your account ended after 30 days"),
    says_more=True,
)
LOCKED_DOWN = Event(_("The account was locked."), mail=_("Your account was locked"))
# Without an email, because the email about the new password is enough.
UNLOCKED = Event(_("The account was unlocked by a new password."))
ALL_ENDED = Event(_("All devices were signed out."), mail=_("You were signed out everywhere"))
RESET_SENT = Event(
    _("A link to set a new password was sent."), mail=_("We sent you a link to set a new password")
)
CONFIRMATION_SENT = Event(
    _("A new confirmation email was sent."), mail=_("We sent you a new confirmation email")
)
ENDED_BY_STAFF = Event(
    _("A device was signed out."),
    mail=_("One of your devices was signed out"),
    group=Group.SIGN_IN,
)
LIMITS_CLEARED = Event(_("The limits on sign-in were reset."))
SUPPORT_DECIDED = Event(
    _("Our team decided who owns the account."),
    mail=_("Our team decided who owns your account"),
    group=Group.CHANGE,
)
LOCK_LIFTED = Event(
    _("A link to unlock the account was sent."), mail=_("A link to unlock your account was sent")
)
# The detail is the number of people who are listed, or whom a bulk act concerns.
PEOPLE_SHOWN = Event(_("Searched or listed people as staff."))
STAFF_ACTED = Event(_("Acted on another account as staff."))
# Recorded in the histories of superusers. The detail is the act and the number of people so far.
BULK_STARTED = Event(
    _("A member of staff is changing many accounts at once."),
    mail=True,
    says_more=True,
)
RIGHTS_CHANGED = Event(_("The account’s rights were changed."), mail=_("Your rights were changed"))
STAFF_GRANTED = Event(_("The account was given staff rights."), mail=_("You are now staff"))
STAFF_WITHDRAWN = Event(
    _("The account’s staff rights were removed."), mail=_("You are no longer staff")
)
SUPERUSER_GRANTED = Event(
    _("The account was given superuser rights."), mail=_("You are now a superuser")
)
SUPERUSER_WITHDRAWN = Event(
    _("The account’s superuser rights were removed."), mail=_("You are no longer a superuser")
)
STAFF_CHANGED = Event(
    _("The rights or status of a member of staff were changed."),
    mail=_("A staff member’s account was changed"),
)
GROUP_CHANGED = Event(_("A group was created, changed or deleted."))
INVITED = Event(_("An invitation to create an account was sent."), mail=True)
INVITATION_REVOKED = Event(_("An invitation was revoked."))
INVITATION_ACCEPTED = Event(_("An invitation was accepted."))
APP_CONNECTED = Event(_("An app was connected."), mail=_("An app was connected to your account"))
DEVICE_CONNECTED = Event(
    _("A device was connected."), mail=_("A device was connected to your account")
)
APP_REFUSED = Event(
    _("An app refused a sign-in: the app is disabled, or a group or second step was missing."),
    group=Group.FAILURE,
)
APP_DISCONNECTED = Event(
    _("An app was disconnected."), mail=_("An app was disconnected from your account")
)
CODE_REUSED = Event(
    _(
        "An app’s sign-in code was used twice, so someone may have copied the code. The app was "
        "signed out."
    ),
    mail=_("An app was signed out because its code was used twice"),
    group=Group.FAILURE,
    says_more=True,
)
SWITCHED_OFF = Event(_("The account was deactivated."), mail=_("Your account was deactivated"))
SWITCHED_ON = Event(_("The account was reactivated."), mail=_("Your account was reactivated"))
DELETION_REQUESTED = Event(
    _("The deletion of the account was requested."), mail=_("Your account will be deleted")
)
DELETION_UNDONE = Event(
    _("The deletion of the account was undone."), mail=_("Your account will not be deleted")
)
# Recorded in no history, because the history of the account is erased, too. The detail is the id of
# the account.
ERASED = Event(_("An account was erased."))
WEBHOOK_ADDED = Event(_("A webhook was added."), mail=True)
WEBHOOK_CHANGED = Event(_("A webhook was changed."), mail=True)
WEBHOOK_DISABLED = Event(_("A webhook was disabled."), mail=True)
DIRECTORY_ADDED = Event(_("A directory was added, and can now create accounts here."), mail=True)
DIRECTORY_CHANGED = Event(_("A directory was changed."), mail=True)
DIRECTORY_DISABLED = Event(_("A directory was disabled."), mail=True)
WEBHOOK_SENT = Event(_("A test event or a repeated event was sent to a webhook."))

EVENTS = {name.lower(): event for name, event in globals().items() if isinstance(event, Event)}
for _name, _event in EVENTS.items():
    _event.name = _name

# The types of the events that webhooks send. No type may contain another one.
TYPES: dict[str, tuple[Event, ...]] = {
    "user.created": (SIGNED_UP, IMPORTED),
    "user.updated": (
        *(RENAMED, PROFILE_CHANGED, RIGHTS_CHANGED),
        *(STAFF_GRANTED, STAFF_WITHDRAWN, SUPERUSER_GRANTED, SUPERUSER_WITHDRAWN),
    ),
    "user.deleted": (ERASED,),
    "user.locked": (LOCKED_DOWN,),
    "user.unlocked": (UNLOCKED,),
    "user.deactivated": (SWITCHED_OFF, DELETION_REQUESTED),
    "user.reactivated": (SWITCHED_ON, DELETION_UNDONE),
    "email.changed": (ADDRESS_ADDED, ADDRESS_REMOVED, PRIMARY_CHANGED),
    "password.changed": (PASSWORD_CHANGED, PASSWORD_RESET, PASSWORD_SET),
    "factor.changed": (
        *(FACTOR_ADDED, FACTOR_REMOVED, FACTORS_RESET, FACTORS_RECOVERED),
        *(PASSKEY_ADDED, PASSKEY_MADE, PASSKEY_CONFIRMED, PASSKEY_REMOVED),
        *(RECOVERY_CODES_MADE, EMAILED_CODES_ON, EMAILED_CODES_OFF),
    ),
    "session.revoked": (
        *(SIGNED_OUT, CLIENT_SIGNED_OUT, SESSION_ENDED, SESSION_ENDED_BY_LIMIT, SESSION_STOPPED),
        *(OTHERS_ENDED, ALL_ENDED, ENDED_BY_STAFF, TOKEN_REUSED, CODE_REUSED),
    ),
    "app.connected": (APP_CONNECTED, DEVICE_CONNECTED),
    "app.disconnected": (APP_DISCONNECTED,),
    "staff.acted": (STAFF_ACTED,),
}
for _type, _events in TYPES.items():
    for _event in _events:
        _event.type = _type


def find(name: str) -> Event:
    """Return the kind of event with this name; a general one if only newer releases know it."""
    if name in EVENTS:
        return EVENTS[name]
    event = Event(_("Something happened that this page can’t describe yet."))
    event.name = name
    return event


def names(*events: Event) -> frozenset[str]:
    """Return the names of ``events``, as the database stores them."""
    return frozenset(event.name for event in events)


# People see these events only if ``STAFF_VIEWS_SHOWN`` is ``on``.
VIEWS = names(PAGE_OPENED, DETAILS_READ, PROFILE_READ)

# After these events, nobody can use the account, neither with a credential nor by an app.
ACCESS_ENDED = names(LOCKED_DOWN, SWITCHED_OFF, DELETION_REQUESTED)


class Failure(StrEnum):
    """Why a sign-in failed. ``UNCHECKED``: the rate limit refused the attempt before any check."""

    PASSWORD = "password"  # noqa: S105 the name of a reason
    UNCHECKED = "unchecked"
    CODE = "code"
    PASSKEY = "passkey"
    LOCKED = "locked"
    SWITCHED_OFF = "switched_off"
    COMPROMISED = "compromised"


WORDS: dict[str, str | Promise] = {
    Failure.PASSWORD: _("Wrong password"),
    Failure.UNCHECKED: _("Too many attempts, so the password wasn’t checked"),
    Failure.CODE: _("Wrong code"),
    Failure.PASSKEY: _("The passkey wasn’t accepted"),
    Failure.LOCKED: _("The account was locked"),
    Failure.SWITCHED_OFF: _("The account was deactivated"),
    Failure.COMPROMISED: _("The password is on a list of stolen passwords"),
}

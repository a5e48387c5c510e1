"""The subjects of the emails about events."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.kinds import Event

# Events whose sentence in the history would be a poor subject, because it is long or does not say
# whose account it is about.
SUBJECTS: dict[Event, str | Promise] = {
    events.SIGNED_IN_NEW: _("Sign-in from a new browser"),
    events.SIGNED_IN_NETWORK: _("Sign-in from a new network"),
    events.CLIENT_SIGNED_IN_NEW: _("A program signed in to your account"),
    events.TOKEN_REUSED: _("A session was ended because it may have been copied"),
    events.PROOF_GUESSED: _("Someone failed the identity check five times"),
    events.BROWSER_PROVED: _("Another browser is now using one of your sessions"),
    events.SESSION_STOPPED: _("A session was ended because another browser used it"),
    events.PASSWORD_CHANGED: _("Your password was changed"),
    events.PASSWORD_RESET: _("Your password was reset"),
    events.PASSWORD_SET: _("Your account now has a password"),
    events.PRIMARY_CHANGED: _("Your primary email address was changed"),
    events.RENAMED: _("Your username was changed"),
    events.PASSKEY_MADE: _("Your browser saved a passkey"),
    events.PASSKEY_CONFIRMED: _("You can now use your passkey as the second step"),
    events.PASSKEY_SUSPECT: _("A passkey was refused because it may have been copied"),
    events.BROWSER_TRUSTED: _("A browser is now trusted"),
    events.FACTORS_RESET: _("Your second factors were removed"),
    events.FACTORS_RECOVERED: _("Your second factors were removed as requested"),
    events.FACTOR_FAILED_NEW: _("A sign-in failed at the second step"),
    events.FACTOR_BLOCKED: _("A sign-in was blocked after too many wrong codes"),
    events.RECOVERY_CODES_MADE: _("You have new recovery codes"),
    events.EMAILED_CODES_ON: _("Emailed codes were turned on"),
    events.RECOVERY_CANCELLED: _("A request to recover your account was cancelled"),
    events.PROVIDER_CONNECTED: _("A new way to sign in was added"),
    events.PROVIDER_DISCONNECTED: _("A way to sign in was removed"),
    events.KEY_ALLOWED: _("One of your API keys may use the staff API"),
    events.KEY_DISALLOWED: _("One of your API keys may no longer use the staff API"),
    events.KEY_EXPIRES: _("One of your API keys will expire within a week"),
    events.PUT_BACK: _("An item was restored to your account"),
    events.SUSPENDED_DELETED: _("A suspended item was deleted from your account"),
    events.REVIEWED: _("The review of your account is finished"),
    events.REVIEW_ENDED: _("The review of your account ended after 30 days"),
    events.LOCKED_DOWN: _("Your account was locked"),
    events.ALL_ENDED: _("You were signed out everywhere"),
    events.RIGHTS_CHANGED: _("Your rights were changed"),
    events.STAFF_GRANTED: _("You are now staff"),
    events.STAFF_WITHDRAWN: _("You are no longer staff"),
    events.SUPERUSER_GRANTED: _("You are now a superuser"),
    events.SUPERUSER_WITHDRAWN: _("You are no longer a superuser"),
    events.STAFF_CHANGED: _("A staff member’s account was changed"),
    events.APP_CONNECTED: _("An app was connected to your account"),
    events.DEVICE_CONNECTED: _("A device was connected to your account"),
    events.APP_DISCONNECTED: _("An app was disconnected from your account"),
    events.CODE_REUSED: _("An app was signed out because its code was used twice"),
    events.RESET_SENT: _("We sent you a link to set a new password"),
    events.CONFIRMATION_SENT: _("We sent you a new confirmation email"),
    events.ENDED_BY_STAFF: _("One of your sessions was signed out"),
    events.LOCK_LIFTED: _("Your account was unlocked"),
    events.SWITCHED_OFF: _("Your account was deactivated"),
    events.SWITCHED_ON: _("Your account was reactivated"),
}

# Events whose sentence says more than the subject.
EXPLAINED = frozenset(
    {
        *(events.SIGNED_IN_NETWORK, events.CLIENT_SIGNED_IN_NEW, events.TOKEN_REUSED),
        *(events.PROOF_GUESSED, events.BROWSER_PROVED, events.PASSWORD_RESET, events.PASSKEY_MADE),
        *(events.PASSKEY_SUSPECT, events.BROWSER_TRUSTED, events.FACTORS_RECOVERED),
        *(events.FACTOR_FAILED_NEW, events.RECOVERY_CODES_MADE, events.EMAILED_CODES_ON),
        *(events.RECOVERY_CANCELLED, events.PROVIDER_CONNECTED, events.PROVIDER_DISCONNECTED),
        *(events.CODE_REUSED, events.KEY_EXPIRES, events.PUT_BACK),
        *(events.SUSPENDED_DELETED, events.REVIEW_ENDED),
    }
)


def subject_of(event: Event) -> str:
    """Return the subject of the email about ``event``, without a full stop."""
    return str(SUBJECTS.get(event, event.sentence)).removesuffix(".")

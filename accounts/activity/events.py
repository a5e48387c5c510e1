"""Every kind of event, in one table. ``docs/events.md`` is generated from it."""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Group(StrEnum):
    """What a person filters by."""

    SIGN_IN = "sign-in"
    FAILURE = "failure"
    CHANGE = "change"


GROUPS: dict[Group, str | Promise] = {
    Group.SIGN_IN: _("Sign-ins and sign-outs"),
    Group.FAILURE: _("Failed attempts"),
    Group.CHANGE: _("Changes to the account"),
}


@dataclass(frozen=True)
class Event:
    """A kind of event: its name in the database, its sentence, and whether the owner gets a mail.

    A name is for ever, since rows keep it.
    """

    name: str
    group: Group
    sentence: str | Promise
    mail: bool = False


SIGNED_UP = Event("signed_up", Group.CHANGE, _("The account was made."))
SIGNED_IN = Event("signed_in", Group.SIGN_IN, _("Signed in."))
SIGNED_IN_NEW = Event("signed_in_new", Group.SIGN_IN, _("Signed in from a new browser."), mail=True)
SIGNED_OUT = Event("signed_out", Group.SIGN_IN, _("Signed out."))
PROOF_GIVEN = Event("proof_given", Group.SIGN_IN, _("Proved again who it is."))
SESSION_ENDED = Event("session_ended", Group.SIGN_IN, _("A sign-in was ended from elsewhere."))
OTHERS_ENDED = Event("others_ended", Group.SIGN_IN, _("All other sign-ins were ended."))
SIGN_IN_FAILED = Event("sign_in_failed", Group.FAILURE, _("A sign-in failed."))
PROOF_FAILED = Event("proof_failed", Group.FAILURE, _("A repeated proof of identity failed."))
BROWSER_CHANGED = Event(
    "browser_changed",
    Group.FAILURE,
    _("Another browser used a sign-in, and was asked who it is."),
)
BROWSER_PROVED = Event(
    "browser_proved",
    Group.SIGN_IN,
    _("Another browser proved who it is, and goes on with a sign-in."),
    mail=True,
)
SESSION_STOPPED = Event(
    "session_stopped",
    Group.FAILURE,
    _("Another browser used a sign-in, which was ended."),
    mail=True,
)
PASSWORD_CHANGED = Event(
    "password_changed", Group.CHANGE, _("The password was changed."), mail=True
)
PASSWORD_RESET = Event(
    "password_reset", Group.CHANGE, _("A new password was set by mail."), mail=True
)
PASSWORD_SET = Event("password_set", Group.CHANGE, _("A password was set."), mail=True)
ADDRESS_ADDED = Event("address_added", Group.CHANGE, _("An email address was added."), mail=True)
ADDRESS_REMOVED = Event(
    "address_removed", Group.CHANGE, _("An email address was removed."), mail=True
)
PRIMARY_CHANGED = Event(
    "primary_changed", Group.CHANGE, _("Another email address became the primary one."), mail=True
)
RENAMED = Event("renamed", Group.CHANGE, _("The username was changed."), mail=True)
PROFILE_CHANGED = Event("profile_changed", Group.CHANGE, _("The profile was changed."))
LOCKED_DOWN = Event("locked_down", Group.CHANGE, _("The account was locked down."), mail=True)
ALL_ENDED = Event("all_ended", Group.CHANGE, _("All sign-ins were ended."), mail=True)
RIGHTS_CHANGED = Event(
    "rights_changed", Group.CHANGE, _("The account’s rights were changed."), mail=True
)
SWITCHED_OFF = Event("switched_off", Group.CHANGE, _("The account was switched off."), mail=True)
SWITCHED_ON = Event("switched_on", Group.CHANGE, _("The account was switched on."), mail=True)

EVENTS = {event.name: event for event in list(globals().values()) if isinstance(event, Event)}

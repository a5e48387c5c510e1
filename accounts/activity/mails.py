"""Builds the emails that notify the owner of an account about events."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event, Group
from accounts.activity.models import OPERATOR, Activity
from accounts.common import client_info, localization, proofs
from accounts.common.pages import absolute
from accounts.mail.message import TO_OWNER, TO_POSSIBLE_STRANGER, Message
from accounts.users.models import User

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


def notice(
    user: User,
    rows: Sequence[Activity],
    email: str,
    token: str | None,
    *,
    is_locked: bool = False,
    is_doubtful: bool = False,
) -> Message:
    """Return the email that notifies ``user`` at the address ``email`` about one act.

    Args:
        user: the owner of the account.
        rows: the events of the act, oldest first.
        email: the address. If it is doubtful, it may belong to a thief.
        token: the secret of the link to lock the account. Without it, the email links to the
            password reset if the account is locked, and has no link otherwise.
        is_locked: whether the account is locked.
        is_doubtful: whether the address is doubtful. The email then contains neither details nor
            the username.
    """
    about = {"email": email, "username": user.username, "site": settings.AUTHSITE.site_name}
    about_email = TO_POSSIBLE_STRANGER if is_doubtful else TO_OWNER
    subjects = dict.fromkeys(subject_of(row.event) for row in rows)
    return Message(
        to=email,
        subject=" · ".join(subjects),
        heading=gettext("New activity on your account") if len(subjects) > 1 else "",
        greeting="" if is_doubtful else gettext("Hello %(name)s,") % {"name": user.username},
        paragraphs=[gettext("Here’s what happened in your account at %(site)s:") % about],
        facts=_facts(rows, email, is_doubtful=is_doubtful),
        **_help(rows[-1], token, is_locked=is_locked),
        closing=[] if is_doubtful else _credit(rows[0].ip),
        reason=f"{about_email % about} {gettext('You can’t turn off security notices.')}",
    )


def _facts(rows: Sequence[Activity], email: str, *, is_doubtful: bool) -> list[tuple[str, str]]:
    """Return the rows of the table: what happened, when, and where and by whom if not doubtful."""
    facts = [
        *_what(rows, "" if is_doubtful else email),
        (gettext("When"), localization.in_full(rows[0].at)),
    ]
    return facts if is_doubtful else [*facts, *_details(rows)]


def _what(rows: Sequence[Activity], email: str) -> list[tuple[str, str]]:
    """Return the row that tells what happened, without repeating the subject."""
    if len({row.event for row in rows}) > 1 or rows[0].event in EXPLAINED:
        return [(gettext("What"), "\n".join(dict.fromkeys(_sentence(row, email) for row in rows)))]
    details = dict.fromkeys(filter(None, (_named(row, email) for row in rows)))
    label = (
        gettext("Email address") if any("@" in detail for detail in details) else gettext("Name")
    )
    return [(label, "\n".join(details))] if details else []


def _sentence(row: Activity, email: str) -> str:
    """Return what happened, and to which credential if ``email`` may learn that."""
    sentence = str(row.event.sentence)
    if not (name := _named(row, email)):
        return sentence
    what, _dot, advice = sentence.partition(".")
    named = f"{what} ({name})" if ":" in what else f"{what}: {name}"
    return f"{named}.{advice}"


def _named(row: Activity, email: str) -> str:
    """Return the name of the credential that ``row`` is about if ``email`` may learn it, else "".

    An email address is named only in the email to that address: somebody who reads a former mailbox
    must not learn the new address.
    """
    is_foreign = "@" in row.detail and row.detail != email
    # The device is in a row of its own, and a number needs a text of its own.
    is_shown = row.event is not events.BROWSER_TRUSTED and not row.detail.isdigit()
    return row.detail if email and is_shown and not is_foreign else ""


def _details(rows: Sequence[Activity]) -> list[tuple[str, str]]:
    facts = []
    row = rows[0]
    left = next((r.detail for r in rows if r.event is events.RECOVERY_CODE_USED), "")
    if left:
        facts.append((gettext("Recovery codes left"), left))
    if row.device:
        place = client_info.name(settings.AUTHSITE.geoip_file, row.ip)
        facts.append((gettext("Device"), str(row.device)))
        facts.append(
            (gettext("Where"), f"{place} ({row.ip})") if place else (gettext("IP address"), row.ip)
        )
    shown = [r.proof for r in rows if r.proof and r.event.group is Group.SIGN_IN]
    if shown:
        facts.append((gettext("Signed in with"), proofs.in_words(shown[-1].split())))
    if row.actor:
        by = (
            gettext("The operator of this site")
            if row.actor == OPERATOR
            else gettext("A member of staff")
        )
        facts.append((gettext("Done by"), by))
    if row.reason:
        facts.append((gettext("Why"), row.reason))
    return facts


def _credit(ip: str) -> list[str]:
    """Return the link to DB-IP that the license of its location files requires."""
    path = settings.AUTHSITE.geoip_file
    is_due = client_info.name(path, ip) and client_info.is_of_dbip(path)
    return [f"{gettext('IP geolocation by DB-IP')}: https://db-ip.com/"] if is_due else []


def _help(row: Activity, token: str | None, *, is_locked: bool) -> dict[str, Any]:
    """Return the questions and the button that lead the owner on after the event ``row``."""
    if token:
        lock = {"action_url": absolute("lockdown_link", token)}
        return lock | (_doubts(row) if row.actor or row.is_by_itself else _was_it_you())
    if is_locked:
        answer = gettext(
            "Nobody can sign in, including you, until you reset your password by email."
        )
        return {
            "questions": [(gettext("What now?"), answer)],
            "action_label": gettext("Reset my password"),
            "action_url": absolute("account_reset_password"),
        }
    return {}


def _was_it_you() -> dict[str, Any]:
    lock = gettext("Lock your account now. You’ll see what that does before anything happens.")
    return {
        "questions": [
            (gettext("Was this you?"), gettext("Then you don’t need to do anything.")),
            (gettext("Not you?"), lock),
        ],
        "action_label": gettext("It wasn’t me. Lock my account"),
    }


def _doubts(row: Activity) -> dict[str, Any]:
    """Return the questions about an event that the owner did not cause."""
    site = {"site": settings.AUTHSITE.site_name}
    if row.actor:
        answer = (
            gettext("Ask the team that runs %(site)s why this happened, or lock your account.")
            % site
        )
    else:
        answer = gettext("Lock your account. You’ll see what that does before anything happens.")
    return {
        "questions": [
            (gettext("Did you expect this?"), gettext("Then you don’t need to do anything.")),
            (gettext("Think something is wrong?"), answer),
        ],
        "action_label": gettext("Lock my account"),
    }

"""Builds the emails that notify the owner of an account about events."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from accounts.activity import events
from accounts.activity.events import Group
from accounts.activity.models import OPERATOR, Activity
from accounts.common import client_info, localization
from accounts.common.pages import absolute
from accounts.mail.message import TO_OWNER, TO_POSSIBLE_STRANGER, Message, staff_note
from accounts.users.models import User


def notice(
    user: User,
    rows: Sequence[Activity],
    email: str,
    token: str | None,
    *,
    is_locked: bool = False,
    may_be_strangers: bool = False,
) -> Message:
    """Return the email that notifies ``user`` at the address ``email`` about the events ``rows``.

    Args:
        user: the owner of the account.
        rows: the events that one request has caused, oldest first.
        email: the address.
        token: the secret of the link to lock the account. Without it, the email links to the
            password reset if the account is locked, and has no link otherwise.
        is_locked: whether the account is locked.
        may_be_strangers: whether the address may belong to a thief. The email then contains neither
            details nor the username.
    """
    about = {"email": email, "username": user.username, "site": settings.AUTHSITE.site_name}
    about_email = TO_POSSIBLE_STRANGER if may_be_strangers else TO_OWNER
    subjects = dict.fromkeys(row.event.subject for row in rows)
    return Message(
        to=email,
        subject=" · ".join(subjects),
        heading=gettext("New activity on your account") if len(subjects) > 1 else "",
        greeting="" if may_be_strangers else gettext("Hello %(name)s,") % {"name": user.username},
        paragraphs=[gettext("Here’s what happened in your account at %(site)s:") % about],
        facts=_facts(rows, email, may_be_strangers=may_be_strangers),
        **_help(user, rows, token, is_locked=is_locked),
        closing=[] if may_be_strangers else _credit(rows[0].ip),
        reason=f"{about_email % about} {gettext('You can’t turn off security notices.')}",
    )


def _facts(
    rows: Sequence[Activity], email: str, *, may_be_strangers: bool
) -> list[tuple[str, str]]:
    """Return the rows of the table in the email: what happened, when, where and by whom."""
    facts = [
        *_what(rows, "" if may_be_strangers else email),
        (gettext("When"), localization.in_full(rows[0].at)),
    ]
    return facts if may_be_strangers else [*facts, *_details(rows)]


def _what(rows: Sequence[Activity], email: str) -> list[tuple[str, str]]:
    """Return the row that says what happened, without repeating the subject."""
    if len({row.event for row in rows}) > 1 or rows[0].event.says_more:
        return [(gettext("What"), "\n".join(dict.fromkeys(_sentence(row, email) for row in rows)))]
    details = "\n".join(dict.fromkeys(filter(None, (_named(row, email) for row in rows))))
    label = gettext("Email address") if "@" in details else gettext("Name")
    return [(label, details)] if details else []


def _sentence(row: Activity, email: str) -> str:
    """Return a sentence about the event; it names the credential if ``email`` may learn that."""
    sentence = str(row.event.sentence)
    if not (name := _named(row, email)):
        return sentence
    what, full_stop, advice = re.split("([.。])", sentence, maxsplit=1)
    has_colon = not {":", "："}.isdisjoint(what)
    named = f"{what} ({name})" if has_colon else localization.listed([what, name], ":")
    return named + full_stop + advice


def _named(row: Activity, email: str) -> str:
    """Return the name of the credential that ``row`` is about if ``email`` may learn it, else "".

    An email address is named only in the email to that address: somebody who reads a former mailbox
    must not learn the new address.
    """
    is_foreign = "@" in row.detail and row.detail != email
    # The email shows the device and the provider in rows, and the numbers in sentences.
    untold = (events.BROWSER_TRUSTED, *events.SIGN_INS)
    is_shown = row.event not in untold and not row.detail.isdigit()
    return row.detail if email and is_shown and not is_foreign else ""


def _details(rows: Sequence[Activity]) -> list[tuple[str, str]]:
    facts, row = [], rows[0]
    left = next((r.detail for r in rows if r.event is events.RECOVERY_CODE_USED), "")
    if left:
        facts.append((gettext("Recovery codes left"), left))
    if row.device:
        place = client_info.name(settings.AUTHSITE.geoip_file, row.ip)
        where = (gettext("Where"), f"{place} ({row.ip})")
        facts.append((gettext("Device"), str(row.device)))
        facts.append(where if place else (gettext("IP address"), row.ip))
    shown = [r.proof_words for r in rows if r.proof and r.event.group is Group.SIGN_IN]
    if shown:
        facts.append((gettext("Signed in with"), shown[-1]))
    if row.actor:
        operator, staff = gettext("The operator of this site"), gettext("A member of staff")
        by = operator if row.actor == OPERATOR else row.directory or staff
        facts.append((gettext("Done by"), by))
    if row.reason:
        facts += staff_note(row.reason)
    return facts


def _credit(ip: str) -> list[str]:
    """Return the link to DB-IP that the license of its location files requires."""
    path = settings.AUTHSITE.geoip_file
    is_due = client_info.name(path, ip) and client_info.is_of_dbip(path)
    return [f"{gettext('IP geolocation by DB-IP')}: https://db-ip.com/"] if is_due else []


def _help(
    user: User, rows: Sequence[Activity], token: str | None, *, is_locked: bool
) -> dict[str, Any]:
    """Return the questions and the button that help the owner after the events ``rows``."""
    is_deletion = any(row.event is events.DELETION_REQUESTED for row in rows)
    if token and is_deletion and user.deletion_due:
        (expected, _nothing), (unexpected, _lock) = _doubts(rows[0])["questions"]
        due = {"time": localization.in_full(user.deletion_due)}
        nothing = gettext("You don’t need to do anything. We’ll delete the account: %(time)s") % due
        answer = gettext("You can keep your account without signing in.")
        return {
            "questions": [(expected, nothing), (unexpected, answer)],
            "action_label": gettext("Keep my account"),
            "action_url": absolute("deletion_undo", token),
        }
    if token:
        return {"action_url": absolute("lockdown_link", token), **_doubts(rows[-1])}
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


def _doubts(row: Activity) -> dict[str, Any]:
    """Return the questions about ``row``, such as whether the owner caused the event."""
    expected, unexpected = gettext("Was this you?"), gettext("Not you?")
    label = gettext("It wasn’t me. Lock my account")
    answer = gettext("Lock your account. First, we’ll show you what the lock does.")
    if row.event is events.LOCK_ASKED:
        warning = gettext("Then someone else is signed in to your account. Lock your account.")
        questions = [(expected, answer), (unexpected, warning)]
        return {"questions": questions, "action_label": gettext("Lock my account")}
    if row.actor or row.is_by_itself:
        expected, unexpected = gettext("Did you expect this?"), gettext("Didn’t expect this?")
        label = gettext("Lock my account")
    if row.actor:
        answer = gettext(
            "Ask the team that runs %(site)s why this happened, or lock your account."
        ) % {"site": settings.AUTHSITE.site_name}
    nothing = gettext("If so, you don’t need to do anything.")
    return {"questions": [(expected, nothing), (unexpected, answer)], "action_label": label}

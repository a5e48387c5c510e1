"""Builds the email that notifies the owner of an account about an event."""

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.activity.models import Activity
from accounts.common.links import absolute
from accounts.mail.message import Message
from accounts.users.models import User


def notice(
    user: User,
    row: Activity,
    email: str,
    token: str | None,
    *,
    is_locked: bool = False,
    is_doubtful: bool = False,
) -> Message:
    """Return the email that notifies ``user`` at the address ``email`` about the event ``row``.

    ``token`` is the secret of the link to lock the account. Without ``token``, the email links to
    the password reset if ``is_locked`` is set, and has no link otherwise. If ``is_doubtful`` is
    set, the address may belong to a thief, so the email contains neither details nor the username.
    """
    site = {"site": settings.AUTHSITE.site_name}
    sentence = str(row.event.sentence)
    facts = [_("When: %(when)s UTC") % {"when": date_format(row.at, "DATETIME_FORMAT")}]
    if not is_doubtful:
        facts += _facts(row, email)
    return Message(
        to=email,
        subject=_("%(site)s: %(sentence)s") % {**site, "sentence": sentence.rstrip(".")},
        greeting="" if is_doubtful else _("Hello %(name)s,") % {"name": user.username},
        paragraphs=[sentence, *facts],
        **_action(row, token, is_locked=is_locked),
        closing=[_closing(row) % site] if token else [],
    )


def _action(row: Activity, token: str | None, *, is_locked: bool) -> dict[str, str]:
    if token:
        return {"action_label": _label(row), "action_url": absolute("lockdown_link", token)}
    if is_locked:
        label = _("Set a new password to open it again")
        return {"action_label": label, "action_url": absolute("account_reset_password")}
    return {}


def _label(row: Activity) -> str:
    if row.actor or row.is_by_itself:
        return _("If you think that something is wrong, lock your account")
    return _("If this wasn't you, lock your account")


def _closing(row: Activity) -> str:
    if row.actor:
        return _("If you don't know why, ask whoever runs %(site)s.")
    if row.is_by_itself:
        return _("If you don't need it any more, there is nothing to do.")
    return _("If it was you, there is nothing to do.")


def _facts(row: Activity, email: str) -> list[str]:
    """Return lines that say what was changed, where and by whom.

    An email address is named only in the email to that address: somebody who reads a former mailbox
    must not learn the new address.
    """
    facts = []
    is_foreign = "@" in row.detail and row.detail != email
    if row.detail and not row.detail.isdigit() and not is_foreign:
        facts.append(_("What: %(detail)s") % {"detail": row.detail})
    if row.device:
        facts.append(_("Device: %(device)s") % {"device": row.device})
        facts.append(_("Address: %(address)s") % {"address": row.ip})
    if row.actor:
        facts.append(_("By: whoever runs %(site)s") % {"site": settings.AUTHSITE.site_name})
    return facts

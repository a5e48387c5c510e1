"""The notice: what happened, when, on which device, and what to do if it wasn't the owner."""

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.activity.models import Activity
from accounts.kernel.links import absolute
from accounts.mail.message import Message
from accounts.users.models import User


def notice(user: User, row: Activity, address: str, token: str | None) -> Message:
    """To an address of the owner's; without a token the account is locked down already."""
    site = {"site": settings.AUTHSITE.site_name}
    sentence = str(row.event.sentence)
    return Message(
        to=address,
        subject=_("%(site)s: %(sentence)s") % {**site, "sentence": sentence.rstrip(".")},
        greeting=_("Hello %(name)s,") % {"name": user.username},
        paragraphs=[sentence, *_facts(row)],
        action_label=_label(row) if token else _("Set a new password to open it again"),
        action_url=absolute("lockdown_link", token)
        if token
        else absolute("account_reset_password"),
        closing=[_closing(row) % site] if token else [],
    )


def _label(row: Activity) -> str:
    if row.actor or row.is_by_itself:
        return _("If you think that something is wrong, lock the account down")
    return _("If this wasn't you, lock the account down")


def _closing(row: Activity) -> str:
    if row.actor:
        return _("If you don't know why, ask whoever runs %(site)s.")
    if row.is_by_itself:
        return _("If you don't need it any more, there is nothing to do.")
    return _("If it was you, there is nothing to do.")


def _facts(row: Activity) -> list[str]:
    """When, and what is known of where and by whom."""
    facts = [_("When: %(when)s UTC") % {"when": date_format(row.at, "DATETIME_FORMAT")}]
    if row.detail and not row.detail.isdigit():
        facts.append(_("What: %(detail)s") % {"detail": row.detail})
    if row.device:
        facts.append(_("Device: %(device)s") % {"device": row.device})
        facts.append(_("Address: %(address)s") % {"address": row.address})
    if row.actor:
        facts.append(_("By: whoever runs %(site)s") % {"site": settings.AUTHSITE.site_name})
    return facts

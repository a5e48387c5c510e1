"""Builds the email that announces a recovery request to every address of an account."""

from datetime import datetime

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.activity.services import Actor
from accounts.common.links import absolute
from accounts.mail.message import Message
from accounts.users.models import User


def recovery(
    user: User, email: str, token: str, due_at: datetime, actor: Actor, *, is_doubtful: bool
) -> Message:
    """Return the email about a recovery that is possible from ``due_at`` on.

    ``token``: the secret of the link to object to the recovery.
    ``is_doubtful``: whether the address may belong to a thief. If so, the email contains neither
        the device, the IP address nor the username.
    """
    site = {"site": settings.AUTHSITE.site_name}
    if user.is_disputed:
        subject = _("%(site)s: somebody asked to open your locked account")
        what = _("Somebody asked to set a new password for your account, which is locked.")
    else:
        subject = _("%(site)s: somebody asked to remove your second factors")
        what = _(
            "Somebody said that they have lost every second factor, and asked to remove them all."
        )
    where = [
        _("Device: %(device)s") % {"device": actor.device},
        _("Address: %(address)s") % {"address": actor.client.ip if actor.client else _("unknown")},
    ]
    return Message(
        to=email,
        subject=subject % site,
        greeting="" if is_doubtful else _("Hello %(name)s,") % {"name": user.username},
        paragraphs=[
            what,
            *([] if is_doubtful else where),
            _("They can do it after %(when)s UTC, unless you stop it.")
            % {"when": date_format(due_at, "DATETIME_FORMAT")},
            _(
                "If that wasn't you, stop it in a browser that you've signed in with before, or "
                "have your password or a second factor at hand:"
            ),
        ],
        action_label=_("Stop it"),
        action_url=absolute("recovery_cancel", token),
        closing=[_("If it was you, come back after that time.")],
    )

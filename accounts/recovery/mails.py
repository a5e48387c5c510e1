"""Builds the email that announces a recovery request to every address of an account."""

from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.activity.services import Actor
from accounts.common import localization
from accounts.common.pages import absolute
from accounts.mail.message import TO_POSSIBLE_STRANGER, Message, staff_note
from accounts.users.models import User


def recovery(
    user: User, email: str, token: str, due_at: datetime, actor: Actor, *, may_be_strangers: bool
) -> Message:
    """Return the email about a recovery that is possible from ``due_at`` on.

    ``token``: the secret of the link to object to the recovery.
    ``may_be_strangers``: whether the address may belong to a thief. The email then contains neither
        the device, the IP address nor the username.
    """
    about = {"email": email, "site": settings.AUTHSITE.site_name}
    if user.lock:
        subject = _("Someone asked to unlock your account")
        what = _("Someone asked to set a new password for your locked account.")
    else:
        subject = _("Someone asked to remove your second factors")
        what = _("Someone reported your second factors as lost and asked us to remove them.")
    stop = _("Stop the request. Have your password and your second factor ready.")
    return Message(
        to=email,
        subject=subject,
        greeting="" if may_be_strangers else _("Hello %(name)s,") % {"name": user.username},
        paragraphs=[
            what,
            _("Nothing will change before the time below. You can stop it until then."),
        ],
        facts=[
            (_("Earliest possible time"), localization.in_full(due_at)),
            *([] if may_be_strangers else _place(actor)),
        ],
        questions=[
            (_("Was this you?"), _("Come back after that time and show the same things again.")),
            (_("Not you?"), stop),
        ],
        action_label=_("Stop the request"),
        action_url=absolute("recovery_cancel", token),
        reason=TO_POSSIBLE_STRANGER % about,
    )


def _place(actor: Actor) -> list[tuple[str, str]]:
    if actor.name:
        return [(_("Asked by"), _("A member of staff")), *staff_note(actor.reason)]
    ip = actor.client.ip if actor.client else _("unknown")
    return [(_("Device"), str(actor.device)), (_("IP address"), ip)]

"""The mail that tells every address that all second factors are to be removed."""

from datetime import datetime

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.activity.services import Source
from accounts.kernel.links import absolute
from accounts.mail.message import Message
from accounts.users.models import User


def recovery(user: User, address: str, token: str, due_at: datetime, source: Source) -> Message:
    """What will happen, when, and the link to cancel it."""
    site = {"site": settings.AUTHSITE.site_name}
    when = {"when": date_format(due_at, "DATETIME_FORMAT")}
    return Message(
        to=address,
        subject=_("%(site)s: somebody asked to remove your second factors") % site,
        greeting=_("Hello %(name)s,") % {"name": user.username},
        paragraphs=[
            _(
                "Somebody took the first step of a sign-in to your account, said that every "
                "second factor is lost, and asked to remove them all."
            ),
            _("Device: %(device)s") % {"device": source.device},
            _("Address: %(address)s")
            % {"address": source.place.address if source.place else _("unknown")},
            _("From %(when)s UTC on, the first step is enough to remove them.") % when,
            _("If that wasn't you, cancel it, then choose another password:"),
        ],
        action_label=_("Cancel it: my second factors stay"),
        action_url=absolute("recovery_cancel", token),
        closing=[_("It was you? Then wait, and sign in again after that time.")],
    )

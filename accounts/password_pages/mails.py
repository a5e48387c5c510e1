"""Builds the email with a reset link, for a user who forgot the password."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.links import absolute
from accounts.mail.message import Message


def reset(username: str, email: str, token: str) -> Message:
    """Return the email with the link to set a new password.

    ``username`` appears in the greeting. If it is empty, there is no greeting.
    """
    site = {"site": settings.AUTHSITE.site_name}
    return Message(
        to=email,
        subject=_("Set a new password at %(site)s") % site,
        greeting=_("Hello %(name)s,") % {"name": username} if username else "",
        paragraphs=[
            _("Somebody, most likely you, asked to set a new password for your account."),
            _("The link works once, for 30 minutes:"),
        ],
        action_label=_("Set a new password"),
        action_url=absolute("account_reset_password_key", token),
        closing=[_("If it wasn't you, do nothing: your password stays as it is.")],
    )

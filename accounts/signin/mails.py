"""The emails with sign-in codes."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.client_info import Device
from accounts.common.pages import absolute
from accounts.common.text import written_code
from accounts.mail.message import Message
from accounts.users.models import User


def code(email: str, secret: str, device: Device) -> Message:
    """Return the email with a sign-in code. If ``email`` is empty, the email is not sent."""
    about = {"email": email, "site": settings.AUTHSITE.site_name, "code": written_code(secret)}
    unasked = _(
        "Someone entered your username or email address. They can’t sign in without "
        "this code, so you don’t need to do anything."
    )
    return Message(
        to=email,
        subject=_("%(code)s is your code to sign in to %(site)s") % about,
        heading=_("Your code to sign in"),
        **_code(secret, device, unasked),
        reason=_("Sent to %(email)s because someone asked for a code to sign in to %(site)s.")
        % about,
    )


def second_code(user: User, secret: str, device: Device) -> Message:
    """Return the email with a code for the second step of a sign-in with the password."""
    site = settings.AUTHSITE.site_name
    about = {"email": user.email, "username": user.username, "site": site}
    unasked = _("Someone else knows your password. Don’t share this code. Reset your password now.")
    return Message(
        to=user.email,
        subject=_("%(code)s is your code to finish signing in to %(site)s")
        % {"code": written_code(secret), **about},
        heading=_("Your code to finish signing in"),
        greeting=_("Hello %(name)s,") % {"name": user.username},
        **_code(secret, device, unasked),
        action_label=_("Reset my password"),
        action_url=absolute("account_reset_password"),
        reason=_(
            "Sent to %(email)s because this address belongs to the account %(username)s at "
            "%(site)s."
        )
        % about,
    )


def _code(secret: str, device: Device, unasked: str) -> dict[str, Any]:
    """Return the parts of a message with a code.

    They name the device that requested the code, so that a user can notice that an attacker
    requested it. ``unasked``: what it means if the user did not ask for the code.
    """
    return {
        "paragraphs": [_("Enter this code on the page where you asked for it:")],
        "code": written_code(secret),
        "facts": [(_("Requested from"), str(device)), (_("Valid for"), _("10 minutes"))],
        "questions": [(_("Didn’t ask for this code?"), unasked)],
    }

"""The emails with sign-in codes."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.client_info import Device
from accounts.common.text import written_code
from accounts.mail.message import Message
from accounts.users.models import User


def code(email: str, secret: str, device: Device) -> Message:
    """Return the email with a sign-in code. If ``email`` is empty, the email is not sent."""
    site = {"site": settings.AUTHSITE.site_name}
    return Message(
        to=email,
        subject=_("%(code)s is your code to sign in to %(site)s")
        % {"code": written_code(secret), **site},
        paragraphs=_code_paragraphs(device),
        code=written_code(secret),
        closing=[
            _("You didn't ask for this? Then somebody knows your address or username, no more."),
            _("Give the code to nobody: %(site)s never asks for it.") % site,
        ],
    )


def second_code(user: User, secret: str, device: Device) -> Message:
    """Return the email with a code for the second step of a sign-in with the password."""
    site = {"site": settings.AUTHSITE.site_name}
    return Message(
        to=user.email,
        subject=_("%(code)s is your code to finish signing in to %(site)s")
        % {"code": written_code(secret), **site},
        greeting=_("Hello %(name)s,") % {"name": user.username},
        paragraphs=_code_paragraphs(device),
        code=written_code(secret),
        closing=[
            _("You didn't ask for this? Then somebody knows your password: change it now."),
            _("Give the code to nobody: %(site)s never asks for it.") % site,
        ],
    )


def _code_paragraphs(device: Device) -> list[str]:
    """Return the paragraphs above the code.

    They name the device that requested the code, so that a user can notice that an attacker
    requested it.
    """
    return [
        _("Asked for in: %(device)s") % {"device": device},
        _("Enter this code where you asked for it, within 15 minutes:"),
    ]

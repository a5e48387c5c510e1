"""The mail that a sign-in can cause."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.mail.message import Message


def code(address: str, secret: str) -> Message:
    """The code to sign in with; to nobody, if there is no address."""
    site = {"site": settings.AUTHSITE.site_name}
    return Message(
        to=address,
        subject=_("%(code)s is your code to sign in to %(site)s") % {"code": secret, **site},
        paragraphs=[_("Enter this code where you asked for it, within 15 minutes:")],
        code=secret,
        closing=[
            _("You didn't ask for this? Then somebody knows your address or username, no more."),
            _("Give the code to nobody: %(site)s never asks for it.") % site,
        ],
    )

"""The two emails that adding an email address can send."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.links import absolute
from accounts.common.text import written_code
from accounts.emails.models import PendingEmail
from accounts.mail.message import Message


def confirm(pending: PendingEmail, code: str, token: str) -> Message:
    """Return the email with a code and a link, for an email address that no account has."""
    site = {"site": settings.AUTHSITE.site_name}
    return Message(
        to=pending.email,
        subject=_("%(code)s is your code for %(site)s") % {"code": written_code(code), **site},
        paragraphs=[_("Enter this code where you added this address, within 15 minutes:")],
        code=written_code(code),
        action_label=_("Or open this page while you are signed in"),
        action_url=absolute("address_confirm", token),
        closing=[_("You didn't ask for this? Do nothing: the address isn't added.")],
    )


def already_taken(owners_email: str) -> Message:
    """Return the message that tells the owner of an address that another user tried to add it."""
    return Message(
        to=owners_email,
        subject=_("Somebody tried to add your address at %(site)s")
        % {"site": settings.AUTHSITE.site_name},
        paragraphs=[
            _("Somebody tried to add this email address to another account."),
            _("It belongs to yours, and stays there. There is nothing to do."),
        ],
    )

"""The two emails that adding an email address can send."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.links import absolute
from accounts.common.text import written_code
from accounts.emails.models import PendingEmail
from accounts.mail.message import Message


def confirm(pending: PendingEmail, code: str, token: str) -> Message:
    """Return the email with a code and a link, for an email address that no account has."""
    about = {"email": pending.email, "site": settings.AUTHSITE.site_name}
    link = _("Sign in, then use this link. It works for 3 days.")
    return Message(
        to=pending.email,
        subject=_("%(code)s is your code for %(site)s") % {"code": written_code(code), **about},
        heading=_("Confirm your email address"),
        paragraphs=[_("Enter this code on the page where you added this address:")],
        code=written_code(code),
        facts=[(_("Valid for"), _("15 minutes"))],
        questions=[(_("Closed that page?"), link)],
        action_label=_("Confirm my email address"),
        action_url=absolute("address_confirm", token),
        closing=[
            _("Didn’t ask for this? Then you don’t need to do anything. We won’t add the address.")
        ],
        reason=_("Sent to %(email)s because someone added this address to an account at %(site)s.")
        % about,
    )


def already_taken(owners_email: str) -> Message:
    """Return the message that tells the owner of an address that another user tried to add it."""
    about = {"email": owners_email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=owners_email,
        subject=_("Someone tried to add your email address to another account at %(site)s") % about,
        paragraphs=[
            _("Someone tried to add this email address to another account."),
            _("It still belongs to your account, so you don’t need to do anything."),
        ],
        reason=_("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )

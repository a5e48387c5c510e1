"""The two emails that a sign-up can send."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.links import absolute
from accounts.common.text import written_code
from accounts.mail.message import Message
from accounts.users.models import PendingSignup


def confirm(signup: PendingSignup, code: str, token: str) -> Message:
    """Return the email with a code and a link, for an email address that no account has."""
    about = {"email": signup.email, "site": settings.AUTHSITE.site_name}
    hello = _("Hello %(name)s,") % {"name": signup.username}
    closing = _("Didn’t sign up? Then you don’t need to do anything. We won’t create an account.")
    return Message(
        to=signup.email,
        # Email clients turn names with a dot into links, and a stranger may have chosen this name.
        greeting="" if "." in signup.username else hello,
        subject=_("%(code)s is your code for %(site)s") % {"code": written_code(code), **about},
        heading=_("Confirm your email address"),
        paragraphs=[_("Enter this code on the page where you signed up:")],
        code=written_code(code),
        facts=[(_("Valid for"), _("15 minutes"))],
        questions=[
            (_("Closed that page?"), _("Use this link instead. It works for 3 days.")),
        ],
        action_label=_("Confirm my email address"),
        action_url=absolute("signup_confirm_link", token),
        closing=[closing],
        reason=_("Sent to %(email)s because someone signed up at %(site)s with this address.")
        % about,
    )


def already_taken(owners_email: str) -> Message:
    """Return the email that tells an account's owner that somebody signed up with its address."""
    about = {"email": owners_email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=owners_email,
        subject=_("You already have an account at %(site)s") % about,
        paragraphs=[_("Someone tried to create a new account with this email address.")],
        questions=[(_("Was this you?"), _("You already have an account. Sign in instead."))],
        action_label=_("Sign in"),
        action_url=absolute("account_login"),
        closing=[_("Not you? Then you don’t need to do anything. We didn’t create an account.")],
        reason=_("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )

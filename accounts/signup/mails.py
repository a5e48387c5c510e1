"""The two emails that a sign-up can send."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.links import absolute
from accounts.common.text import written_code
from accounts.mail.message import Message
from accounts.users.models import PendingSignup


def confirm(signup: PendingSignup, code: str, token: str) -> Message:
    """Return the email with a code and a link, for an email address that no account has."""
    hello = _("Hello %(name)s,") % {"name": signup.username}
    return Message(
        to=signup.email,
        # Email clients turn names with a dot into links, and a stranger may have chosen this name.
        greeting="" if "." in signup.username else hello,
        subject=_("%(code)s is your code for %(site)s")
        % {"code": written_code(code), "site": settings.AUTHSITE.site_name},
        paragraphs=[
            _("Enter this code where you signed up, within 15 minutes:"),
        ],
        code=written_code(code),
        action_label=_("Or open this page to confirm your address"),
        action_url=absolute("signup_confirm_link", token),
        closing=[
            _("You didn't sign up? Do nothing: without the code or the link no account is made."),
        ],
    )


def already_taken(owners_email: str) -> Message:
    """Return the email that tells an account's owner that somebody signed up with its address."""
    return Message(
        to=owners_email,
        subject=_("You already have an account at %(site)s")
        % {"site": settings.AUTHSITE.site_name},
        paragraphs=[
            _("Somebody tried to make a new account with this email address."),
            _("If that was you: you have one already. Sign in to it here:"),
        ],
        action_label=_("Sign in"),
        action_url=absolute("account_login"),
        closing=[_("If it wasn't you, do nothing: no account was made, and yours is unchanged.")],
    )

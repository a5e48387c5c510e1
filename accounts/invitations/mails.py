"""The two emails that an invitation can send."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common import localization
from accounts.common.links import absolute
from accounts.invitations.models import Invitation
from accounts.mail.message import Message


def invitation(invitation: Invitation, token: str) -> Message:
    """Return the email with the link, for an email address that no account has."""
    about = {"email": invitation.email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=invitation.email,
        subject=_("You’re invited to %(site)s") % about,
        paragraphs=[_("The team at %(site)s invites you to create an account.") % about],
        facts=[
            (_("Your address"), invitation.email),
            (_("Valid until"), localization.in_full(invitation.expires_at)),
        ],
        action_label=_("Accept the invitation"),
        action_url=absolute("invitation", token),
        closing=[_("Don’t want an account? Then there’s nothing to do.")],
        reason=_("Sent to %(email)s because the team at %(site)s invited this address.") % about,
    )


def has_account(owners_email: str) -> Message:
    """Return the email that tells the owner of an account that the address was invited."""
    about = {"email": owners_email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=owners_email,
        subject=_("You already have an account at %(site)s") % about,
        paragraphs=[
            _("The team at %(site)s invited this email address to create an account.") % about
        ],
        questions=[(_("What now?"), _("You already have an account. Sign in to it."))],
        action_label=_("Sign in"),
        action_url=absolute("account_login"),
        closing=[_("Nothing has changed on your account.")],
        reason=_("Sent to %(email)s because it belongs to an account at %(site)s.") % about,
    )

"""Builds the email with a reset link, for a user who forgot the password."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.links import absolute
from accounts.mail.message import TO_OWNER, Message


def reset(username: str, email: str, token: str) -> Message:
    """Return the email with the link to set a new password.

    ``username`` appears in the greeting. If it is empty, there is no greeting.
    """
    about = {"email": email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=email,
        subject=_("Set a new password for %(site)s") % about,
        greeting=_("Hello %(name)s,") % {"name": username} if username else "",
        paragraphs=[_("Someone, probably you, asked to reset the password for your account.")],
        questions=[
            (
                _("Was this you?"),
                _("Set a new password. The link works once and expires after 30 minutes."),
            ),
        ],
        action_label=_("Set a new password"),
        action_url=absolute("account_reset_password_key", token),
        closing=[_("Not you? Then you don’t need to do anything. Your password stays the same.")],
        reason=_("Sent to %(email)s because someone asked to reset a password at %(site)s.")
        % about,
    )


def reset_by_staff(username: str, email: str, token: str, why: str) -> Message:
    """Return the email with a link to set a new password, which a member of staff has sent.

    ``why``: the reason that the member of staff has given.
    """
    about = {"email": email, "site": settings.AUTHSITE.site_name}
    return Message(
        to=email,
        subject=_("Set a new password for %(site)s") % about,
        greeting=_("Hello %(name)s,") % {"name": username},
        paragraphs=[_("A member of our staff sent you this link to set a new password.")],
        facts=[(_("Why"), why)],
        questions=[
            (
                _("Did you ask for help?"),
                _("Set a new password. The link works once and expires after 30 minutes."),
            ),
        ],
        action_label=_("Set a new password"),
        action_url=absolute("account_reset_password_key", token),
        closing=[_("Didn’t ask for help? Then don’t use the link, and don’t forward this email.")],
        reason=TO_OWNER % {**about, "username": username},
    )

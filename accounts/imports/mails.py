"""The email to people whose accounts were imported."""

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.common.localization import speaking
from accounts.common.pages import absolute
from accounts.mail.message import TO_OWNER, Message
from accounts.users.models import User


def moved(user: User) -> Message:
    """Return the email that tells ``user`` how to sign in at this site."""
    about = {"site": settings.AUTHSITE.site_name, "username": user.username, "email": user.email}
    with speaking(user.language):
        return Message(
            to=user.email,
            subject=_("Your account is now at %(site)s") % about,
            heading=_("Your account has moved"),
            greeting=_("Hello %(name)s,") % {"name": user.username},
            paragraphs=[
                _("Your username is %(username)s. You sign in as before.") % about,
                _("If your password doesn’t work here, reset it on the sign-in page."),
            ],
            action_label=_("Sign in"),
            action_url=absolute("account_login"),
            reason=TO_OWNER % about,
        )

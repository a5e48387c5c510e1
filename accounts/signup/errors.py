"""What can be wrong with a sign-up, in words."""

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError


class SignupClosed(PublicError):
    """Whoever runs the site takes no strangers."""

    code = "signup_closed"
    status = 403
    message = _("This site takes no new accounts.")


class SignupEnded(PublicError):
    """It was confirmed, replaced or forgotten meanwhile."""

    code = "signup_ended"
    message = _("This sign-up doesn’t wait any more.")

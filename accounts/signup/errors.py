"""Errors of sign-ups."""

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError


class SignupClosed(PublicError):
    """Sign-up is not open on this site."""

    code = "signup_closed"
    status = 403
    message = _("This site takes no new accounts.")


class SignupEnded(PublicError):
    """The sign-up was confirmed, changed or deleted meanwhile, or has expired."""

    code = "signup_ended"
    message = _("This sign-up doesn’t wait any more.")

"""Errors of sign-ups."""

from django.utils.translation import gettext_lazy as _

from accounts.common.errors import PublicError


class SignupEnded(PublicError):
    """The sign-up was confirmed, changed or deleted meanwhile, or has expired."""

    code = "signup_ended"
    message = _("This sign-up has ended.")

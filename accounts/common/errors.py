"""Errors that clients may see. Each has a sentence for people, and a code for programs."""

import math
from datetime import datetime, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common import clock


class PublicError(Exception):
    """An error that the client may see. Subclasses define its sentence, code and status."""

    code = "error"
    status = 400
    message: str | Promise = _("Something went wrong.")
    # The ``WWW-Authenticate`` header (RFC 9110 section 11.6.1). It is never ``Basic``, because
    # browsers would open their own password dialog.
    www_authenticate = "Bearer"

    def __str__(self) -> str:
        return str(self.message)


class SignupClosed(PublicError):
    """Sign-up is not open on this site."""

    code = "signup_closed"
    status = 403
    message = _("This site isn’t accepting new accounts.")


class InvitationRequired(SignupClosed):
    """Sign-up needs an invitation, and the person has not opened the link of one."""

    message = _(
        "You need an invitation to sign up. If you have one, open the link in the email that "
        "invited you."
    )


class TooMany(PublicError):
    """The account has as many objects of one kind as allowed. Subclasses define the message."""

    code = "too_many"


class LastWayIn(PublicError):
    """The method cannot be removed: without it, the user could no longer sign in safely.

    Subclasses define the message.
    """

    code = "last_way_in"


class RateLimited(PublicError):
    """A limit is reached: the client must wait ``retry_after`` seconds before it tries again.

    See RFC 6585 section 4 and RFC 9110 section 10.2.3.
    """

    code = "throttled"
    status = 429
    message = _("Too many attempts. Wait a moment, then try again.")

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = max(1, math.ceil(retry_after))

    @property
    def retry_at(self) -> datetime:
        """The time from which the client may try again, rounded up to a whole minute."""
        at = clock.now() + timedelta(seconds=self.retry_after)
        return at + timedelta(seconds=-at.second % 60, microseconds=-at.microsecond)


class Busy(RateLimited):
    """All slots for an expensive operation, such as hashing a password, are in use."""

    code = "busy"
    message = _("The site is busy. Wait a moment, then try again.")

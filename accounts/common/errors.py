"""Errors are words: a public sentence for pages, a code and a status for programs."""

import math

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class PublicError(Exception):
    """Something that went wrong and may be told to whoever asked."""

    code = "error"
    status = 400
    message: str | Promise = _("Something went wrong.")
    # What a program reads beside the status (RFC 9110 section 11.6.1). Never ``Basic``: browsers
    # would ask for a password in a window of their own.
    challenge = "Bearer"

    def __str__(self) -> str:
        return str(self.message)


class Later(PublicError):
    """Not now: RFC 6585 section 4 and RFC 9110 section 10.2.3. ``retry_after`` is in seconds."""

    code = "throttled"
    status = 429
    message = _("Too many attempts. Wait a moment, then try again.")

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = max(1, math.ceil(retry_after))


class Busy(Later):
    """The site is at its limit (hashing passwords), whoever asks."""

    code = "busy"
    message = _("The site is busy. Wait a moment, then try again.")

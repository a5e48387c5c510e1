"""Defines why sign-ins fail at their first step. The history stores the reason as the detail."""

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Failure(StrEnum):
    """Why a sign-in failed. ``UNCHECKED``: no attempts were left, so every password was refused."""

    PASSWORD = "password"  # noqa: S105 the name of a reason
    UNCHECKED = "unchecked"
    CODE = "code"
    PASSKEY = "passkey"
    LOCKED = "locked"
    SWITCHED_OFF = "switched_off"


WORDS: dict[str, str | Promise] = {
    Failure.PASSWORD: _("Wrong password"),
    Failure.UNCHECKED: _("Too many attempts, so the password wasn’t checked"),
    Failure.CODE: _("Wrong code"),
    Failure.PASSKEY: _("The passkey wasn’t accepted"),
    Failure.LOCKED: _("The account was locked"),
    Failure.SWITCHED_OFF: _("The account was deactivated"),
}

"""What an event is: its name, its sentence, its group and whether it is emailed."""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Group(StrEnum):
    """A group of events by which users can filter their history."""

    SIGN_IN = "sign-in"
    FAILURE = "failure"
    CHANGE = "change"


GROUPS: dict[Group, str | Promise] = {
    Group.SIGN_IN: _("Sign-ins"),
    Group.FAILURE: _("Failed attempts"),
    Group.CHANGE: _("Changes"),
}


# Compared by identity, because the hash of a translated sentence depends on the language.
@dataclass(frozen=True, eq=False)
class Event:
    """A kind of event.

    ``name`` is stored in the database, so it never changes. ``sentence`` describes the event to the
    owner of the account. If ``mail`` is set, the owner is notified by email.
    """

    name: str
    group: Group
    sentence: str | Promise
    mail: bool = False

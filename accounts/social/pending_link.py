"""Pending links: provider profiles that a user has not yet confirmed as their own.

A pending link is stored in the session data of the browser. The identity is connected with the
account of the user when the user confirms.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta

from django.http import HttpRequest

from accounts.common import clock
from accounts.social.provider_profile import ProviderProfile
from accounts.social.services import owner_of
from accounts.users.models import User

KEY = "provider_profile"
LIFE = timedelta(minutes=30)


@dataclass(frozen=True)
class PendingLink:
    """A provider profile that is connected with an account once the user confirms.

    ``next_url``: the page to go to afterwards.
    ``begun_by``: the id of the user who was signed in when the connection began. If it is empty,
        only the user who has the verified email address of the profile may confirm.
    """

    profile: ProviderProfile
    next_url: str
    begun_by: str

    def is_for(self, user: User) -> bool:
        """Return whether ``user`` may confirm this connection."""
        if self.begun_by:
            return self.begun_by == str(user.pk)
        return owner_of(self.profile) == user


def store(
    request: HttpRequest, profile: ProviderProfile, next_url: str, begun_by: str = ""
) -> None:
    """Store a pending link in this browser's session data; it replaces any earlier one."""
    facts = {**asdict(profile), "signed_in_at": None}
    until = (clock.now() + LIFE).timestamp()
    data = {"profile": facts, "next": next_url, "by": begun_by, "until": until}
    request.session[KEY] = data


def find(request: HttpRequest) -> PendingLink | None:
    """Return the pending link of this browser; None if there is none or it has expired."""
    data = request.session.get(KEY)
    if not data or data["until"] <= clock.now().timestamp():
        return None
    return PendingLink(ProviderProfile(**data["profile"]), data["next"], data["by"])


def discard(request: HttpRequest) -> None:
    """Delete the pending link of this browser, if there is one."""
    request.session.pop(KEY, None)

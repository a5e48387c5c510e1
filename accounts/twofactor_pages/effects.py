"""Counts what a change of second factors ends, so that a page can say so before the change."""

from dataclasses import dataclass

from accounts.apikeys import services as keys
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import IS_APP, live
from accounts.twofactor import trusted_browsers
from accounts.users.models import User


@dataclass(frozen=True)
class Effects:
    """The number of other sessions, apps, API keys and trusted browsers that the change ends."""

    browsers: int
    programs: int
    apps: int
    keys: int
    trusted: int

    @property
    def is_any(self) -> bool:
        """Whether the change ends at least one of them."""
        return any((self.browsers, self.programs, self.apps, self.keys, self.trusted))


def effects_of(user: User, here: LoginSession | None) -> Effects:
    """Count what a change of the factors of ``user`` in the session ``here`` ends."""
    others = live(user).exclude(pk=here.pk) if here else live(user)
    in_browsers = others.filter(kind=LoginSession.Kind.BROWSER).count()
    return Effects(
        browsers=in_browsers,
        programs=others.exclude(IS_APP).count() - in_browsers,
        apps=len(connected.apps().names(others)),
        keys=len(keys.effects(user, here.pk if here else None).ending),
        trusted=trusted_browsers.of(user).count(),
    )

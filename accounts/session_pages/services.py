"""Lists the other sessions of a user, and counts what "Sign out everywhere else" would end."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import HttpRequest

from accounts.sessions.models import LoginSession
from accounts.sessions.services import live
from accounts.twofactor import trusted_browsers
from accounts.users.models import User

IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


@dataclass(frozen=True)
class Effects:
    """The number of sessions and trusted browsers that "Sign out everywhere else" would end.

    Attributes:
        browsers: the number of live sessions in browsers, without the current session.
        programs: the number of live sessions of API clients, without the current session.
        trusted: the number of trusted browsers.
        trusts_here: whether the browser of the request is a trusted browser.
    """

    browsers: int
    programs: int
    trusted: int
    trusts_here: bool

    @property
    def sessions(self) -> int:
        """The number of all live sessions of the user, without the current session."""
        return self.browsers + self.programs


def others(here: LoginSession) -> QuerySet[LoginSession]:
    """Return all live sessions of the user except the current session ``here``.

    Sessions in browsers come first, then sessions of API clients. Within both groups, the most
    recently used session is first.
    """
    is_browser = Case(When(IN_BROWSER, then=1), default=0)
    return live(here.user).exclude(pk=here.pk).order_by(is_browser.desc(), "-used_at")


def effects(request: HttpRequest, here: LoginSession) -> Effects:
    """Count what would end if the user signed out everywhere except in the session ``here``."""
    counts = (
        others(here)
        .order_by()
        .aggregate(
            browsers=Count("pk", filter=IN_BROWSER), programs=Count("pk", filter=~IN_BROWSER)
        )
    )
    trusted = _count_trusted(here.user)
    trusts_here = bool(trusted) and trusted_browsers.here(request, here.user).exists()
    return Effects(**counts, trusted=trusted, trusts_here=trusts_here)


def _count_trusted(user: User) -> int:
    return trusted_browsers.of(user).count() if settings.AUTHSITE.trusted_browser_days else 0

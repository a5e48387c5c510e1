"""Lists the sessions of a user for the page, and what signing out everywhere else would do."""

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
    """What signing out everywhere else ends.

    ``browsers`` and ``programs`` count the other live sessions. ``trusted`` counts the trusted
    browsers, and ``trusts_here`` says whether the browser of the request is one of them.
    """

    browsers: int
    programs: int
    trusted: int
    trusts_here: bool

    @property
    def sessions(self) -> int:
        """The number of other live sessions."""
        return self.browsers + self.programs


def others(here: LoginSession) -> QuerySet[LoginSession]:
    """Return the other live sessions of the user of ``here``.

    Those in browsers come first, and the most recently used ones before others.
    """
    is_browser = Case(When(IN_BROWSER, then=1), default=0)
    return live(here.user).exclude(pk=here.pk).order_by(is_browser.desc(), "-used_at")


def effects(request: HttpRequest, here: LoginSession) -> Effects:
    """Return what signing out everywhere but in the session ``here`` would end."""
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

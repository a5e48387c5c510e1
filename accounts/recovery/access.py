"""Lists what gives access to an account besides its credentials, each kind of thing once.

Pages show it before a change ends it.
"""

import uuid
from functools import cached_property
from typing import Any

from django.db.models import Count, Q, QuerySet

from accounts.apikeys import services as apikeys
from accounts.sessions import connected
from accounts.sessions.models import LoginSession
from accounts.sessions.services import IS_APP, live
from accounts.twofactor import trusted_browsers
from accounts.users.models import User

_IN_BROWSER = Q(kind=LoginSession.Kind.BROWSER)


class Access:
    """What gives access to the account of ``user``. Each property is read when it is needed.

    ``keep``: the id of a session to leave out, or None.
    """

    def __init__(self, user: User, keep: uuid.UUID | None = None) -> None:
        self._user, self._keep = user, keep

    @property
    def live(self) -> QuerySet[LoginSession]:
        """The live sessions."""
        rows = live(self._user)
        return rows.exclude(pk=self._keep) if self._keep else rows

    @cached_property
    def _numbers(self) -> dict[str, int]:
        browsers, programs = (Count("pk", filter=q) for q in (_IN_BROWSER, ~_IN_BROWSER & ~IS_APP))
        return self.live.order_by().aggregate(browsers=browsers, programs=programs)

    @property
    def browsers(self) -> int:
        """The number of live sessions in browsers."""
        return self._numbers["browsers"]

    @property
    def programs(self) -> int:
        """The number of live sessions of API clients that are no connected apps."""
        return self._numbers["programs"]

    @property
    def sessions(self) -> int:
        """The number of live sessions of browsers and API clients."""
        return self.browsers + self.programs

    @cached_property
    def apps(self) -> list[str]:
        """The names of the connected apps that are signed in."""
        return connected.apps().names(self.live.order_by())

    @cached_property
    def connections(self) -> list[Any]:
        """The connected apps, signed in or not: see :meth:`connected.Apps.connections_of`."""
        return list(connected.apps().connections_of(self._user))

    @cached_property
    def keys(self) -> apikeys.Effects:
        """The API keys that end with the live sessions, and the others."""
        return apikeys.effects(self._user, self._keep)

    @cached_property
    def trusted(self) -> int:
        """The number of trusted browsers."""
        return trusted_browsers.of(self._user).count()

    @property
    def is_any(self) -> bool:
        """Whether a change of a second factor ends anything."""
        return any((self.sessions, self.apps, self.keys.ending, self.trusted))

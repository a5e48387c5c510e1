"""The session store. The database contains digests of session keys instead of the keys.

The cookie contains a key of 256 random bits. The database contains only a hash of the key, so a
copy of the database does not help to sign in. ``save`` stores a new key. If the ``LoginSession`` of
the browser has ended, the session data is empty.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession

from accounts.common import clock, secrets
from accounts.common.database import P, PreparedQueries, PreparedQuery
from accounts.sessions import services
from accounts.sessions.models import BrowserSession, LoginSession
from accounts.users.models import User

# A query for the session data of a browser, its session and user.
_FOUND = PreparedQueries(
    PreparedQuery(
        lambda: BrowserSession.objects.filter(session_key=P("key"), expire_date__gt=P("now"))
    ),
    PreparedQuery(lambda: LoginSession.objects.filter(browsers__session_key=P("key"))),
    PreparedQuery(lambda: User.objects.filter(login_sessions__browsers__session_key=P("key"))),
)


def digest(session_key: str) -> str:
    """Return 160 bits of the SHA-256 in hexadecimal, which fill Django's column."""
    return sha256(session_key.encode()).hexdigest()[:40]


class SessionStore(db.SessionStore):
    """Stores session data in the database under digests of the session keys."""

    # The digest under which the data is stored, or None.
    _stored: str | None = None
    _saved: dict[str, Any] | None = None
    _login_session: LoginSession | None = None

    @property
    def login_session(self) -> LoginSession | None:
        """The ``LoginSession`` in which this browser is signed in, or None."""
        self.keys()  # Loads the session data.
        return self._login_session

    @login_session.setter
    def login_session(self, login_session: LoginSession) -> None:
        self._login_session = login_session
        self._saved = None
        self.modified = True

    def _get_new_session_key(self) -> str:
        # Two random keys of 256 bits are never equal, so no check for collisions is needed.
        return secrets.token()

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        row, session, user = _FOUND.firsts(key=digest(cast(str, self.session_key)), now=clock.now())
        if session:
            session.user = user
        if row is None or not (session is None or session.is_live):
            self._session_key = None
            return None
        self._login_session, self._stored = session, self.session_key
        return cast(BrowserSession, row)

    def exists(self, session_key: str) -> bool:
        return BrowserSession.objects.filter(session_key=digest(session_key)).exists()

    def create(self) -> None:
        """Choose a new session key, which the next :meth:`save` will store."""
        self._session_key = self._get_new_session_key()
        self._session_cache = getattr(self, "_session_cache", {})
        self.modified = True

    def cycle_key(self) -> None:
        """Choose a new session key. The next :meth:`save` replaces the current one."""
        self.keys()  # Loads the session data.
        self.create()

    def save(self, must_create: bool = False) -> None:
        """Store the session data in one statement.

        Raises:
            UpdateError: the session data was deleted after this request had read it.
        """
        if self.session_key is None:
            self.create()
        data = dict(self.items())
        is_new = self.session_key != self._stored
        if not is_new and data == self._saved:
            # The data has not changed since ``establish_session`` saved it in its transaction,
            # but Django's middleware saves every modified session.
            return
        row = self.create_model_instance(data)
        if not self._stored or not BrowserSession.objects.filter(pk=digest(self._stored)).update(
            session_key=row.session_key,
            session_data=row.session_data,
            expire_date=row.expire_date,
            login_session=self._login_session,
        ):
            if not is_new:
                raise UpdateError
            row.save(force_insert=True)
        self._stored, self._saved = self.session_key, deepcopy(data)

    def get_expiry_date(self, **_options: Any) -> datetime:
        """Return the time at which the session data expires.

        If the browser is signed in, this is the end of the ``LoginSession``. Otherwise, it is
        ``SESSION_COOKIE_AGE`` seconds from now.
        """
        if self.login_session:
            return self.login_session.ends_at
        return clock.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)

    def get_expiry_age(self, **_options: Any) -> int:
        """Return the number of seconds until the session data expires."""
        return round((self.get_expiry_date() - clock.now()).total_seconds())

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return BrowserSession(
            session_key=digest(cast(str, self.session_key)),
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            login_session=self._login_session,
        )

    def flush(self) -> None:
        """Delete the session data, and revoke the ``LoginSession`` of this browser."""
        if (session := self.login_session) and session.ended_at is None:
            services.revoke(session)
        super().flush()
        self._login_session = self._stored = None

    def delete(self, session_key: str | None = None) -> None:
        """Delete the session data of ``session_key``; without an argument, of this store.

        Only :meth:`flush` revokes the ``LoginSession``.
        """
        key = session_key or self._stored or ""
        BrowserSession.objects.filter(session_key=digest(key)).delete()

    # The asynchronous methods of Django's database store would look up keys instead of digests. The
    # methods of its base class call the synchronous methods above.
    aload = SessionBase.aload
    aexists = SessionBase.aexists
    acreate = SessionBase.acreate
    asave = SessionBase.asave
    adelete = SessionBase.adelete

    async def aflush(self) -> None:
        await sync_to_async(self.flush)()

"""The session store: digests of keys in place of the keys, and the login session behind each.

Whoever reads the database, or a backup of it, can't become anybody: the cookie holds 256 random
bits, the table their hash. A new key is written once, by the first ``save``. A session whose login
session is over loads as none.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession

from accounts.common import clock, secrets
from accounts.sessions import services
from accounts.sessions.models import BrowserSession, LoginSession


def digest(session_key: str) -> str:
    """160 bits of SHA-256, as many as the table's column takes."""
    return sha256(session_key.encode()).hexdigest()[:40]


class SessionStore(db.SessionStore):
    """Sessions that a copy of the database does not open."""

    _unwritten = False
    _saved: dict[str, Any] | None = None
    _login_session: LoginSession | None = None

    @classmethod
    def get_model_class(cls) -> type[AbstractBaseSession]:
        """Our table."""
        return BrowserSession

    @property
    def login_session(self) -> LoginSession | None:
        """The login session that this browser is in, with its user; None for a stranger."""
        self.keys()  # loads it
        return self._login_session

    @login_session.setter
    def login_session(self, login_session: LoginSession) -> None:
        self._login_session = login_session
        self._saved = None
        self.modified = True

    def _get_new_session_key(self) -> str:
        """256 random bits: no look for a collision is needed."""
        return secrets.token()

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        rows = BrowserSession.objects.select_related("login_session__user")
        row = rows.filter(
            session_key=digest(self.session_key or ""), expire_date__gt=clock.now()
        ).first()
        if row is None or not (row.login_session is None or services.is_live(row.login_session)):
            self._session_key = None
            return None
        self._login_session = row.login_session
        return row

    def exists(self, session_key: str) -> bool:
        """Whether such a session is stored."""
        return BrowserSession.objects.filter(session_key=digest(session_key)).exists()

    def create(self) -> None:
        """Take a new key; it's stored by the next :meth:`save`."""
        self._session_key = self._get_new_session_key()
        self._unwritten = True
        self._session_cache = getattr(self, "_session_cache", {})
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Store the session in one statement; ``UpdateError`` if it was ended meanwhile."""
        if self.session_key is None:
            self.create()
        new = must_create or self._unwritten
        data = dict(self.items())
        if not new and data == self._saved:
            # CompletedSignIn has saved it in its transaction; Django saves what was modified again.
            return
        row = self.create_model_instance(data)
        if new:
            row.save(force_insert=True)
            self._unwritten = False
        elif not BrowserSession.objects.filter(pk=row.pk).update(
            session_data=row.session_data,
            expire_date=row.expire_date,
            login_session=self._login_session,
        ):
            raise UpdateError
        self._saved = deepcopy(data)

    def get_expiry_date(self, **_options: Any) -> datetime:
        """When the sign-in ends, however busy; a stranger's session ends a while after its use."""
        if self.login_session:
            return self.login_session.ends_at
        return clock.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)

    def get_expiry_age(self, **_options: Any) -> int:
        """Seconds until then, for the cookie."""
        return round((self.get_expiry_date() - clock.now()).total_seconds())

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """The row of this session, under the digest of its key."""
        return BrowserSession(
            session_key=digest(self.session_key or ""),
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            login_session=self._login_session,
        )

    def flush(self) -> None:
        """Forget everything; who was signed in is signed out, on the server too."""
        if self.login_session:
            services.revoke(self.login_session)
        super().flush()
        self._login_session = None

    def delete(self, session_key: str | None = None) -> None:
        """Delete the session of that key, or this one. A sign-in ends by :meth:`flush` only."""
        if key := session_key or self.session_key:
            BrowserSession.objects.filter(session_key=digest(key)).delete()

    # The asynchronous half of Django's store would use keys, not digests: it takes this half.

    async def aload(self) -> dict[str, Any]:
        """As :meth:`load`."""
        return await sync_to_async(self.load)()

    async def aexists(self, session_key: str) -> bool:
        """As :meth:`exists`."""
        return await sync_to_async(self.exists)(session_key)

    async def acreate(self) -> None:
        """As :meth:`create`."""
        self.create()

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        await sync_to_async(self.save)(must_create)

    async def adelete(self, session_key: str | None = None) -> None:
        """As :meth:`delete`."""
        await sync_to_async(self.delete)(session_key)

    async def aflush(self) -> None:
        """As :meth:`flush`."""
        await sync_to_async(self.flush)()

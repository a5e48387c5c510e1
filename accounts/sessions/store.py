"""The session store: Django's table, with digests of keys in place of the keys.

Whoever reads the database, or a backup of it, can't become anybody: the cookie holds 256 random
bits, the table their hash. A new key is written once, by the first ``save``.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession

from accounts.kernel import clock, secrets

# The key, in a signed-in session, of the moment at which it ends.
ENDS_AT = "ends_at"


def digest(session_key: str) -> str:
    """160 bits of SHA-256, as many as the table's column takes."""
    return sha256(session_key.encode()).hexdigest()[:40]


class SessionStore(db.SessionStore):
    """Sessions that a copy of the database does not open."""

    _unwritten = False

    def _get_new_session_key(self) -> str:
        """256 random bits: no look for a collision is needed."""
        return secrets.token()

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        row = self.model.objects.filter(
            session_key=digest(self.session_key or ""), expire_date__gt=clock.now()
        ).first()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        """Whether such a session is stored."""
        return self.model.objects.filter(session_key=digest(session_key)).exists()

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
        row = self.create_model_instance(dict(self.items()))
        if new:
            row.save(force_insert=True)
            self._unwritten = False
        elif not self.model.objects.filter(pk=row.pk).update(
            session_data=row.session_data, expire_date=row.expire_date
        ):
            raise UpdateError

    def get_expiry_date(self, **_options: Any) -> datetime:
        """When the sign-in ends, however busy; a stranger's session ends a while after its use."""
        if ends_at := self.get(ENDS_AT):
            return datetime.fromtimestamp(ends_at, UTC)
        return clock.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)

    def get_expiry_age(self, **_options: Any) -> int:
        """Seconds until then, for the cookie."""
        return round((self.get_expiry_date() - clock.now()).total_seconds())

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """The row of this session, under the digest of its key."""
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """End the session."""
        if key := session_key or self.session_key:
            self.model.objects.filter(session_key=digest(key)).delete()

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

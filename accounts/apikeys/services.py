"""Creates, finds and revokes API keys."""

import hmac
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.apikeys.models import TEXT, APIKey
from accounts.calls import services as calls
from accounts.common import clock, secrets
from accounts.common.client_info import ClientInfo
from accounts.common.database import P, PreparedQuery
from accounts.common.errors import TooMany
from accounts.sessions import services as sessions
from accounts.throttle.limits import KEY_NEW
from accounts.throttle.services import hit
from accounts.tokens import scopes
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.services import OwnedQuery

MOST = 50
SUGGESTED_DAYS = 90
LONGEST_DAYS = 366
# The use of a key is recorded at most this often, to limit writes to the database.
NOTE_EVERY = timedelta(minutes=5)
TELL_BEFORE = timedelta(days=7)
# Expired keys are listed for this long, so that owners see why a program has stopped working.
KEEP = timedelta(days=30)

GRANTABLE = frozenset(
    scope
    for scope in scopes.SCOPES - scopes.ADMIN - {scopes.GROUPS, scopes.USERS, "profile:write"}
    if not scope.startswith(("credentials:", "keys:"))
)

# The two kinds of access to the staff API.
READ, ACT = "read", "act"
SCOPES = {READ: frozenset({"admin:read"}), ACT: scopes.ADMIN}

_OWNED = OwnedQuery(lambda: APIKey.objects.filter(pk=P("id")))


class TooManyKeys(TooMany):
    """The user has as many API keys as allowed."""

    code = "too_many_keys"
    message = _("You can’t have any more API keys. Remove a key before you create another one.")


def make(
    user: User, name: str, scope: frozenset[str], expires_at: datetime | None, actor: Actor
) -> tuple[APIKey, str]:
    """Create an API key for ``user``; return the key and its text, which is not stored.

    Raises:
        TooManyKeys: the user has as many keys as allowed.
        RateLimited: the user has created too many keys recently.
        AccountChanged: the account was locked, its credentials changed, or the session that makes
            the request was revoked, after ``user`` was read.
    """
    hit(KEY_NEW.of(user.pk))
    new = TEXT.make()
    with transaction.atomic():
        # Lock the row of the user, so that a simultaneous lockdown also revokes the new key; and
        # the row of the session, so that signing out everywhere else does.
        users.lock_row(user)
        if actor.session:
            sessions.lock(actor.session)
        if APIKey.objects.filter(user=user).count() >= MOST:
            raise TooManyKeys
        key = APIKey.objects.create(
            id=new.id,
            user=user,
            digest=new.digest,
            name=name,
            scope=scopes.written(scope),
            expires_at=expires_at,
            session=actor.session,
        )
        calls.created(key.pk, owner=user.pk)
        record(user, events.KEY_MADE, actor, detail=name)
    return key, new.text


def scope_of(wanted: str) -> frozenset[str]:
    """Return the scopes in ``wanted`` if an API key may have them.

    An API key may not manage API keys, because it could then create another one. It may not change
    the profile, or read groups or other users either.

    Raises:
        UnknownScope: a scope is unknown, or keys may not have it.
    """
    scope = scopes.parse(wanted)
    if scope - GRANTABLE:
        raise scopes.UnknownScope
    return scope


def of(user: User | P) -> QuerySet[APIKey]:
    """Return the API keys of ``user``, newest first."""
    return APIKey.objects.filter(user=user).order_by("-made_at")


_OF = PreparedQuery(lambda: of(P("user")))


def all_of(user: User) -> list[APIKey]:
    """Return all API keys of ``user``, newest first, with a prepared query."""
    return _OF.all(user=user.pk)


def find_key(shown: str) -> APIKey | None:
    """Return the valid API key with the text ``shown``, or None.

    The key, its user and the groups of the user are read in one query.
    """
    if not TEXT.is_key(shown):
        return None
    key = _OWNED.first(id=TEXT.id_of(shown))
    is_right = key and hmac.compare_digest(key.digest, secrets.plain_digest(shown))
    return key if key and is_right and not key.is_over else None


def note_use(key: APIKey, client: ClientInfo) -> None:
    """Record that ``client`` uses ``key``, at most once in five minutes."""
    now = clock.now()
    if key.used_at and key.used_at > now - NOTE_EVERY:
        return
    unrecorded = Q(used_at=None) | Q(used_at__lte=now - NOTE_EVERY)
    APIKey.objects.filter(unrecorded, pk=key.pk).update(used_at=now, ip=client.ip)


def revoke(user: User, key_id: str, actor: Actor) -> bool:
    """Revoke the API key of ``user`` with ``key_id``; return False if there is none."""
    return bool(revoke_keys(user, of(user).filter(pk=key_id), actor))


@dataclass(frozen=True)
class Effects:
    """The API keys that a change of credentials revokes, and those that remain."""

    ending: list[APIKey]
    remaining: list[APIKey]


def effects(user: User, keep: uuid.UUID | None) -> Effects:
    """Return which API keys of ``user`` a change of credentials revokes, and which remain.

    The change revokes every live session except ``keep``. It also revokes the keys that were
    created in these sessions, because a thief may have created them. All other keys remain, even
    those that were created in a session that has already ended. Expired keys are left out.
    """
    keys = [key for key in all_of(user) if not key.is_over]
    made_in = {key.session for key in keys if key.session} - {keep}
    live = sessions.live(user).filter(pk__in=made_in) if made_in else ()
    ending = {session.pk for session in live}
    return Effects(
        [key for key in keys if key.session in ending],
        [key for key in keys if key.session not in ending],
    )


def revoke_with_sessions(user: User, keep: uuid.UUID | None, actor: Actor) -> None:
    """Revoke the API keys that were created in live sessions other than ``keep``.

    Call this before those sessions are revoked.
    """
    revoke_keys(user, effects(user, keep).ending, actor, mail=False)


def revoke_chosen(user: User, key_ids: Collection[str], actor: Actor) -> None:
    """Revoke the API keys of ``user`` with the ids ``key_ids``; send no email about each key.

    ``key_ids`` may contain unchecked text from a client, because it is not used in a query.
    """
    revoke_keys(user, [key for key in of(user) if key.pk in key_ids], actor, mail=False)


@transaction.atomic
def revoke_keys(user: User, keys: Iterable[APIKey], actor: Actor, *, mail: bool = True) -> int:
    """Delete ``keys`` and record an event for each key that still existed.

    Returns the number of keys that still existed.
    """
    ended = [key for key in keys if APIKey.objects.filter(pk=key.pk).delete()[0]]
    for key in ended:
        record(user, events.KEY_ENDED, actor, detail=key.name, mail=mail)
    return len(ended)


def revoke_all(user: User) -> None:
    """Revoke all API keys of ``user``.

    No event is recorded: the caller records the change that revokes the keys.
    """
    APIKey.objects.filter(user=user).delete()


@transaction.atomic
def revoke_of_many(whose: Q) -> list[APIKey]:
    """Revoke and return all API keys of many users, in two statements.

    No event is recorded: the caller does this.

    ``whose``: a condition on ``user``.
    """
    rows = APIKey.objects.filter(whose)
    keys = list(rows.order_by("made_at"))
    rows.delete()
    return keys


def tell_of_ends() -> int:
    """Email the owners of API keys that expire within a week; return the number of keys.

    Only one email is sent about each key.
    """
    now = clock.now()
    soon = APIKey.objects.filter(
        told_at=None, expires_at__gt=now, expires_at__lte=now + TELL_BEFORE, user__is_active=True
    )
    return sum(_tell(key) for key in soon.select_related("user"))


@transaction.atomic
def _tell(key: APIKey) -> bool:
    if not APIKey.objects.filter(pk=key.pk, told_at=None).update(told_at=clock.now()):
        return False
    detail = f"{key.name}, {cast(datetime, key.expires_at).date()}"
    record(key.user, events.KEY_EXPIRES, Actor(), detail=detail)
    return True


def prune() -> int:
    """Delete API keys that expired 30 days ago or earlier; return how many were deleted."""
    return APIKey.objects.filter(expires_at__lte=clock.now() - KEEP).delete()[0]


@transaction.atomic
def set_access(
    user: User, key_id: str, access: frozenset[str], actor: Actor, *, mail: bool = True
) -> bool:
    """Replace the scopes of the staff API of a user's key, and record the change.

    Return False if there is no such key, or if it has these scopes already.
    """
    rows = APIKey.objects.select_for_update().filter(user=user, pk=key_id)
    key = rows.first()
    if key is None or key.staff_access == access:
        return False
    rows.update(staff_scope=scopes.written(access))
    event = events.KEY_ALLOWED if access else events.KEY_DISALLOWED
    record(user, event, actor, detail=key.label, mail=mail)
    return True


def withdraw_staff_scopes(user: User, actor: Actor) -> None:
    """Withdraw the scopes of the staff API from all keys of ``user``; send no email about a key."""
    for key in APIKey.objects.filter(user=user).exclude(staff_scope=""):
        set_access(user, key.pk, frozenset(), actor, mail=False)

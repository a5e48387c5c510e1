"""Making, finding and ending API keys."""

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
from accounts.apikeys import text
from accounts.apikeys.models import APIKey
from accounts.common import clock
from accounts.common.client_info import ClientInfo
from accounts.common.errors import PublicError
from accounts.sessions import services as sessions
from accounts.throttle.limits import KEY_NEW
from accounts.throttle.services import spend
from accounts.tokens import scopes
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.rows import Owned

MOST = 50
SUGGESTED_DAYS = 90
LONGEST_DAYS = 366
# A use is noted at most this often, by one UPDATE: no write a call.
NOTE_EVERY = timedelta(minutes=5)
TELL_BEFORE = timedelta(days=7)
# One that has expired is shown for a while, so that its owner sees why a program has stopped.
KEEP = timedelta(days=30)

GRANTABLE = frozenset(
    scope
    for scope in scopes.SCOPES - {scopes.GROUPS, scopes.USERS}
    if not scope.startswith("keys:")
)

_FOUND = Owned(APIKey, "o.id = %(id)s")


class TooManyKeys(PublicError):
    """Every key that a person can have is there."""

    code = "too_many_keys"
    message = _("You have as many keys as there can be. Remove one first.")


def make(
    user: User, name: str, scope: frozenset[str], expires_at: datetime | None, actor: Actor
) -> tuple[APIKey, str]:
    """A new key of ``user``, and its text, which is never seen again; :class:`TooManyKeys`,
    ``Later``.

    ``AccountChanged`` if the account was locked down, or its credentials changed, since ``user``
    was read: whoever asked may be out by now.
    """
    spend((KEY_NEW, user.pk))
    new = text.make()
    with transaction.atomic():
        # Held, so that a lockdown comes before it, or after it and ends the key, too.
        users.hold(user)
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
        record(user, events.KEY_MADE, actor, detail=name)
    return key, new.text


def scope_of(wanted: str) -> frozenset[str]:
    """The scopes in ``wanted``, if a key may have them; ``UnknownScope``.

    Not the keys: none makes another one, whoever has it. Nor groups: they go into tokens only.
    """
    scope = scopes.parse(wanted)
    if scope - GRANTABLE:
        raise scopes.UnknownScope
    return scope


def of(user: User) -> QuerySet[APIKey]:
    """The keys of ``user``, newest first."""
    return APIKey.objects.filter(user=user).order_by("-made_at")


def find(shown: str) -> APIKey | None:
    """The good key that ``shown`` is, with its person and their groups: one query."""
    if not text.is_key(shown):
        return None
    key = _FOUND.find({"id": text.id_of(shown)})
    if key is None or not hmac.compare_digest(key.digest, text.digest(shown)) or key.is_over:
        return None
    return key


def note_use(key: APIKey, client: ClientInfo) -> None:
    """Note that it's in use at ``client``, if that wasn't noted minutes ago."""
    now = clock.now()
    if key.used_at and key.used_at > now - NOTE_EVERY:
        return
    unnoted = Q(used_at=None) | Q(used_at__lte=now - NOTE_EVERY)
    APIKey.objects.filter(unnoted, pk=key.pk).update(used_at=now, ip=client.ip)


def revoke(user: User, key_id: str, actor: Actor) -> bool:
    """End one key of ``user``; False if there is none."""
    return bool(_revoke(user, of(user).filter(pk=key_id), actor))


@dataclass(frozen=True)
class Effects:
    """The keys that a change of credentials ends, and those that remain."""

    ending: list[APIKey]
    remaining: list[APIKey]


def effects(user: User, keep: uuid.UUID | None) -> Effects:
    """Return what a change of credentials does to the keys of ``user`` that have not expired.

    The change ends every live session but ``keep``, and with it the keys that were made there: a
    thief may have made them. Keys made elsewhere remain, also if their session ended before.
    """
    keys = [key for key in of(user) if not key.is_over]
    live = sessions.live(user).filter(pk__in=[key.session for key in keys if key.session])
    ending = set(live.values_list("pk", flat=True)) - {keep}
    return Effects(
        [key for key in keys if key.session in ending],
        [key for key in keys if key.session not in ending],
    )


def revoke_with_sessions(user: User, keep: uuid.UUID | None, actor: Actor) -> None:
    """End the keys in ``effects(user, keep).ending``. Call this before the sessions end."""
    _revoke(user, effects(user, keep).ending, actor, mail=False)


def revoke_chosen(user: User, key_ids: Collection[str], actor: Actor) -> None:
    """End the keys of ``user`` whose ids are in ``key_ids``, without a mail of their own.

    ``key_ids`` may contain anything that a client sends: it never reaches the database.
    """
    _revoke(user, [key for key in of(user) if key.pk in key_ids], actor, mail=False)


@transaction.atomic
def _revoke(user: User, keys: Iterable[APIKey], actor: Actor, *, mail: bool = True) -> int:
    """Delete ``keys`` and record each that still existed; return how many did."""
    ended = [key for key in keys if APIKey.objects.filter(pk=key.pk).delete()[0]]
    for key in ended:
        record(user, events.KEY_ENDED, actor, detail=key.name, mail=mail)
    return len(ended)


def revoke_all(user: User) -> None:
    """End all keys of ``user``, as part of a change that is recorded itself."""
    APIKey.objects.filter(user=user).delete()


def tell_of_ends() -> int:
    """Tell owners of keys that expire within a week, once a key; how many."""
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
    """Delete what expired long ago; how many."""
    return APIKey.objects.filter(expires_at__lte=clock.now() - KEEP).delete()[0]

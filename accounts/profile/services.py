"""Changing what a person is called, and what it says of itself."""

import uuid
from collections.abc import Mapping

from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common.errors import PublicError
from accounts.throttle.limits import PROFILE_CHANGE, RENAME, RENAME_TRY, STAFF_READ
from accounts.throttle.services import give_back, spend, wait
from accounts.users import services as users
from accounts.users.models import User


class SameName(PublicError):
    """Nothing to change."""

    code = "same_name"
    message = _("That is your username already.")


def save(user: User, profile: Mapping[str, str], actor: Actor) -> None:
    """Store the fields of ``profile``, which are clean; write nothing where nothing changes.

    Raises ``Later`` if the person, or one of their API keys, has changed it too often: each change
    is a row of the history. What a key spends is not missing when its owner changes the profile.
    """
    changed = {name: value for name, value in profile.items() if getattr(user, name) != value}
    if not changed:
        return
    spend((PROFILE_CHANGE, user.pk, actor.key))
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(**changed)
        record(user, events.PROFILE_CHANGED, actor)


def read(reader: User, user_id: uuid.UUID, actor: Actor) -> User:
    """Return the person with that id, and record in their history that ``reader`` looked.

    Raises:
        Http404: nobody has that id.
        Later: ``reader`` has read too many people.
    """
    spend((STAFF_READ, reader.pk))
    user = users.find_by_id(str(user_id))
    if user is None:
        raise Http404
    record(user, events.PROFILE_READ, actor)
    return user


def seconds_to_next_name(user: User) -> int:
    """Return the seconds until :func:`rename` may be called; 0 for now."""
    return wait((RENAME, user.pk))


def rename(user: User, name: str, actor: Actor) -> None:
    """Another username, which is clean; once a day.

    :class:`SameName`, ``UsernameTaken``, ``Later``.
    """
    if name == user.username:
        raise SameName
    spend((RENAME_TRY, user.pk), (RENAME, user.pk))
    try:
        with transaction.atomic():
            renamed = users.rename(user, name)
            record(renamed, events.RENAMED, actor, detail=f"{user.username} → {name}")
    except (users.UsernameTaken, users.AccountChanged):
        give_back((RENAME, user.pk))
        raise

"""Change usernames and profiles, and read the profiles of others as staff."""

import uuid
from collections.abc import Mapping

from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, history
from accounts.activity import services as activity
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.common.errors import PublicError
from accounts.profile.checkup import Checkup, Facts
from accounts.throttle.limits import PROFILE_CHANGE, RENAME, RENAME_TRY, STAFF_READ
from accounts.throttle.services import give_back, spend, wait
from accounts.twofactor import services as twofactor
from accounts.users import identities
from accounts.users import services as users
from accounts.users.models import User


class SameName(PublicError):
    """The new username is the present one."""

    code = "same_name"
    message = _("That is your username already.")


def checkup(user: User) -> Checkup:
    """Return how well the account of ``user`` is protected."""
    facts = Facts(
        email=user.email,
        emails=user.emails.count(),
        has_password=user.has_usable_password(),
        has_provider=bool(identities.usable(user)),
        held=twofactor.held(user),
    )
    return Checkup(facts)


def last_sign_in(user: User) -> Activity | None:
    """Return the event of the last sign-in of ``user`` in a browser; None if it is unknown."""
    kinds = [event.name for event in history.SIGNED_IN]
    return activity.of(user).filter(kind__in=kinds).first()


def save(user: User, profile: Mapping[str, str], actor: Actor) -> None:
    """Store those fields of ``profile`` that differ; their values must be validated.

    The budget of changes is separate for the person and for each of their API keys, so that a
    program cannot use up its owner's. It exists because every change adds a row to the history.

    Raises:
        Later: there were too many changes.
    """
    changed = {name: value for name, value in profile.items() if getattr(user, name) != value}
    if not changed:
        return
    spend((PROFILE_CHANGE, user.pk, actor.key))
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(**changed)
        record(user, events.PROFILE_CHANGED, actor)


def read(reader: User, user_id: uuid.UUID, actor: Actor) -> User:
    """Return the user with this id, and record in that user's history that ``reader`` has read it.

    Raises:
        Http404: there is no such user.
        Later: ``reader`` has read too many users.
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
    """Give ``user`` another username, at most once a day. ``name`` must be validated.

    Raises:
        SameName: ``name`` is the present username.
        UsernameTaken: another account has the name, or one that looks like it.
        AccountChanged: the account was changed meanwhile.
        Later: the username was changed less than a day ago, or there were too many tries.
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

"""Change usernames and profiles, and let staff read the accounts of other users."""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity import services as activity
from accounts.activity.models import RENAMED_TO
from accounts.activity.services import Actor, record
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.profile.checkup import Checkup, Step
from accounts.sessions.models import LoginSession
from accounts.signin import policy
from accounts.throttle.limits import NAME_TRY, PROFILE_CHANGE, RENAME, STAFF
from accounts.throttle.services import give_back, hit, wait
from accounts.twofactor import passkeys
from accounts.twofactor import services as twofactor
from accounts.users import models as users_models
from accounts.users import services as users
from accounts.users.models import User


class SameName(PublicError):
    """The new username is the same as the current one."""

    code = "same_name"
    message = _("That’s already your username.")


def checkup(user: User) -> Checkup:
    """Return how well the account of ``user`` is protected."""
    held = twofactor.held(user)
    return Checkup(
        email=user.email,
        emails=user.emails.count(),
        has_password=user.has_usable_password(),
        has_provider=bool(users_models.usable(user)),
        held=held,
        has_declined=passkeys.is_declined(user),
    )


def options_of_offer(session: LoginSession, checkup: Checkup) -> str:
    """Return the options, as JSON, with which the browser may make a passkey without asking.

    The result is empty if the home page does not offer a passkey, or if the browser may not.
    """
    if checkup.next_step is not Step.ADD_PASSKEY or not policy.may_make_passkey(session):
        return ""
    return json.dumps(passkeys.options_to_add(session.user, is_automatic=True))


def save(
    user: User,
    profile: Mapping[str, str],
    actor: Actor,
    *,
    app: str = "",
    check: Callable[[User], None] | None = None,
) -> None:
    """Store the fields of ``profile`` that have changed. The values must be validated.

    The owner is notified in the language that ``user`` has had before.

    Changes are limited because each one adds a row to the history. The user and each of the user's
    connected apps have separate limits, so that an app cannot use up the changes of its user.

    ``app``: the ID of the connected app that makes the change, or an empty string.
    ``check``: raises an exception if the user, as read under a lock, must not be changed.

    Raises:
        DecidedElsewhere: a directory decides one of the fields.
        RateLimited: there were too many changes.
    """
    changed = _changed(user, profile)
    if not changed:
        return
    if users.DECIDED & changed.keys():
        users.refuse_managed(user)
    hit(PROFILE_CHANGE.of(user.pk, app))
    with transaction.atomic():
        if check:
            check(users.lock_row_as_is(user))
        store(user, profile, actor)


def store(user: User, profile: Mapping[str, str], actor: Actor) -> bool:
    """Store the fields of ``profile`` that differ from those of ``user``, and record that.

    Return whether any differs. Call this in a transaction.
    """
    changed = _changed(user, profile)
    # Apps are not told ``about``.
    told = {"updated_at": clock.now()} if changed.keys() - {"about"} else {}
    if changed:
        User.objects.filter(pk=user.pk).update(**changed, **told)
        record(user, events.PROFILE_CHANGED, actor)
    return bool(changed)


def _changed(user: User, profile: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in profile.items() if getattr(user, name) != value}


def read(reader: User, user_id: uuid.UUID, actor: Actor) -> User:
    """Return the user with this id, and record in that user's history who has read the account.

    Raises:
        Http404: there is no such user.
        RateLimited: ``reader`` has read too many users.
    """
    hit(STAFF.of("read", reader.pk))
    user = users.find_by_id(str(user_id))
    if user is None:
        raise Http404
    record(user, events.PROFILE_READ, actor)
    return user


def seconds_to_next_name(user: User) -> int:
    """Return the seconds until :func:`rename` may be called; 0 means now."""
    return wait(RENAME.of(user.pk))


def _time_held(user: User) -> timedelta:
    """Return how long nobody else can take the former username of ``user``.

    The name of a member of staff stays in the events of others, where it must not stand for another
    person.
    """
    kept = settings.AUTHSITE.activity_days if activity.is_named(user) else 0
    return max(users.FORMER_NAME_LIFE, timedelta(days=kept))


def rename(user: User, name: str, actor: Actor) -> None:
    """Change the username of ``user`` to ``name``, which must be validated. Allowed once a day.

    Raises:
        SameName: ``name`` is the current username.
        DecidedElsewhere: a directory manages ``user``.
        UsernameTaken: ``name`` is taken, or looks like a username that is taken.
        AccountChanged: the account was changed meanwhile.
        RateLimited: the username was changed less than a day ago, or there were too many attempts.
    """
    if name == user.username:
        raise SameName
    users.refuse_managed(user)
    hit(NAME_TRY.of("username", user.pk), RENAME.of(user.pk))
    try:
        with transaction.atomic():
            renamed = users.rename(user, name, held=_time_held(user))
            record(renamed, events.RENAMED, actor, detail=f"{user.username}{RENAMED_TO}{name}")
    except (users.UsernameTaken, users.AccountChanged):
        give_back(RENAME.of(user.pk))
        raise

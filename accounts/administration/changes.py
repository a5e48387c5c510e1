"""Changes the profiles and the rights of users for staff, and notifies the users and superusers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import cast

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record_for_superusers, tell_superusers
from accounts.administration import acts, roles
from accounts.administration.roles import NotInRole
from accounts.common.errors import PublicError
from accounts.common.signals import credentials_changed
from accounts.invitations.services import MoreThanOwnRights, gives_rights
from accounts.profile import services as profiles
from accounts.users.models import User
from accounts.users.rights import all_of_few, groups_to_give, note_groups_changed


class WillBeDeleted(PublicError):
    """The deletion of the account was requested, so it can no longer get rights."""

    code = "already_done"
    status = 409
    message = _("This account will be deleted. Undo the deletion first, then change its rights.")


def change(
    user: User,
    staff: User,
    actor: Actor,
    *,
    profile: Mapping[str, str],
    groups: Collection[Group] | None = None,
    check: Callable[[User], None] = lambda _user: None,
    is_limited: bool = True,
) -> None:
    """Change the profile and the groups of ``user`` for ``staff``, and record it in both histories.

    ``actor``: the client of ``staff``, with the reason.
    ``profile``: fields with validated values.
    ``groups``: all groups of the user from now on; None to keep the groups.
    ``check``, ``is_limited``: see :func:`acts.perform`.

    Raises:
        NotInRole, NotAllowedOnStaff: see :func:`roles.check`; or ``staff`` may not change any
            groups.
        MoreThanOwnRights: ``staff`` may not give or take one of the groups.
        WillBeDeleted: ``groups`` are given to an account that will be deleted.
        AlreadyDone: the account was deleted meanwhile.
        RateLimited: ``staff`` acted too often.
    """
    roles.check(staff, user)
    if is_limited:
        acts.count(staff, actor)
    with transaction.atomic():
        staff, found = acts.locked(staff, user)
        user = cast(User, found)
        roles.check(staff, user)
        check(user)
        if profiles.store(user, profile, actor.as_staff(staff)):
            acts.note(staff, actor, user, events.PROFILE_CHANGED.sentence)
        if groups is not None and {*groups} != {*user.groups.all()}:
            set_groups(user, groups, staff, actor)


def set_groups(user: User, groups: Collection[Group], staff: User, actor: Actor) -> None:
    """Replace the groups of ``user``, record it, and notify ``user`` and the superusers.

    Raises:
        NotInRole, MoreThanOwnRights, WillBeDeleted: see :func:`change`.
    """
    if not roles.may_change_rights(staff, user):
        raise NotInRole
    if user.deletion_due:
        raise WillBeDeleted
    if not {*groups} ^ {*user.groups.all()} <= {*groups_to_give(staff)}:
        raise MoreThanOwnRights
    if gives_rights({*groups} - {*user.groups.all()}, is_staff=False):
        # Without this, such a change would not be reported to superusers when it is part of a bulk
        # call.
        actor = replace(actor, is_announced=False)
    user.groups.set(groups)
    tell(user, {"groups"}, staff, actor)


def tell(user: User, changed: Collection[str], staff: User | None, actor: Actor) -> None:
    """Record that ``staff`` changed ``user``, and notify ``user`` and the superusers.

    This revokes the sessions of ``user``, except the session of ``actor``.

    ``changed``: the names of the changed fields.
    ``staff``: None if the operator has changed them.
    ``actor``: the client and the session of ``staff``, with the reason; or the operator.
    """
    if "groups" in changed:
        note_groups_changed(User.objects.filter(pk=user.pk))
    found, by_staff = _events(user, changed), actor.as_staff(staff) if staff else actor
    for event in found:
        keep = actor.session if user == staff else None
        credentials_changed.send(User, user=user, event=event.name, actor=by_staff, keep=keep)
        if staff and user != staff:
            acts.note(staff, actor, user, event.sentence)
    if found:
        tell_superusers(user, by_staff)


@transaction.atomic
def tell_group(group: Group, members: Iterable[User], staff: User | None, actor: Actor) -> None:
    """Record for all superusers that ``staff`` has changed ``group`` or its permissions.

    ``members``: the users whose rights the change concerns. They are notified and signed out.
    ``staff``, ``actor``: as for :func:`tell`.

    Raises:
        TooManyMembers: see :func:`all_of_few`. Undo the change.
    """
    for member in all_of_few(members):
        tell(member, {"user_permissions"}, staff, actor)
    by = actor.as_staff(staff) if staff else actor
    record_for_superusers(events.GROUP_CHANGED, by, group.name)


@transaction.atomic
def delete_group(group: Group, staff: User | None, actor: Actor) -> bool:
    """Delete ``group``, and notify as :func:`tell_group` does; return False if an app needs it.

    Raises:
        TooManyMembers: see :func:`all_of_few`.
    """
    members = all_of_few(group.user_set.all())
    try:
        with transaction.atomic():
            note_groups_changed(group.user_set.all())
            group.delete()
    except ProtectedError:
        return False
    tell_group(group, members, staff, actor)
    return True


def _events(user: User, changed: Collection[str]) -> list[Event]:
    """Return the events that describe a change of the fields ``changed`` of ``user``."""
    found = []
    if "is_staff" in changed:
        found.append(events.STAFF_GRANTED if user.is_staff else events.STAFF_WITHDRAWN)
    if "is_superuser" in changed:
        found.append(events.SUPERUSER_GRANTED if user.is_superuser else events.SUPERUSER_WITHDRAWN)
    is_changed = not {"groups", "user_permissions"}.isdisjoint(changed)
    return [*found, *([events.RIGHTS_CHANGED] if is_changed else [])]

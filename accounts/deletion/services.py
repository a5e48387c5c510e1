"""Requests the deletion of an account, and undoes the request.

After the request, nobody has access to the account. Until ``deletion_due``, the owner can keep it
by signing in, or with the link in the email to every address. Then the daily job erases it.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.activity import events, notices
from accounts.activity.models import OPERATOR, Activity
from accounts.activity.notices import Notice
from accounts.activity.services import Actor, record, tell_superusers
from accounts.apikeys import services as apikeys
from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.common.signals import credentials_changed
from accounts.recovery.locks import Access
from accounts.throttle.limits import MAIL_BOX
from accounts.throttle.services import hit
from accounts.users import services as users
from accounts.users import usernames
from accounts.users.models import User
from accounts.users.rights import lock_with_superusers, note_groups_changed
from accounts.users.services import AccountChanged


class LastSuperuser(PublicError):
    """The last superuser cannot be deleted, because nobody else could administer the site."""

    code = "last_superuser"
    status = 403
    message = _("This is the last superuser. Make somebody else a superuser first.")


def effects_on(user: User) -> dict[str, Any]:
    """Return the consequences of deleting the account of ``user``, for the page that asks for it.

    ``sessions`` and ``keys`` are numbers; ``apps`` and ``groups`` are lists of names; ``days`` is
    the number of days in which the user can undo the deletion.
    """
    access = Access(user)
    return {
        "sessions": access.sessions,
        "apps": sorted({row.client.name for row in access.connections}),
        "keys": apikeys.of(user).count(),
        "groups": user.group_names,
        "days": settings.AUTHSITE.deletion_days,
    }


def is_name_of(user: User, typed: str) -> bool:
    """Return whether ``typed`` is the username of ``user``, ignoring case."""
    return usernames.key(typed) == user.username_key


def request_own(user: User, actor: Actor) -> datetime:
    """Request the deletion of the account for its owner ``user``; return when it is due.

    Raises:
        RateLimited: the owner has requested it too often, each time with an email to every
            address.
        LastSuperuser, AccountChanged: see :func:`request`.
    """
    hit(MAIL_BOX.of("deletion", user.pk))
    return request(user, actor)


@transaction.atomic
def request(user: User, actor: Actor, due: datetime | None = None) -> datetime:
    """Request the deletion of the account of ``user``; return when it is due.

    Everyone is signed out, API keys are revoked, and apps are disconnected. Staff lose their
    rights.

    ``due``: the time from which the daily job may erase the account; by default ``DELETION_DAYS``
        from now.

    Raises:
        LastSuperuser: ``user`` is the last superuser.
        AccountChanged: the credentials of ``user`` were changed after ``user`` was read.
    """
    if actor.name in ("", OPERATOR):
        owner, is_last = lock_with_superusers(user)
    else:
        # Staff request it: one superuser remains, the member of staff, whose row is locked, too.
        owner, is_last = users.lock_row_as_is(user), False
    if owner is None or owner.credential_version != user.credential_version:
        raise AccountChanged
    if is_last:
        raise LastSuperuser
    owner.deletion_due = due or clock.now() + timedelta(days=settings.AUTHSITE.deletion_days)
    User.objects.filter(pk=owner.pk).update(deletion_due=owner.deletion_due)
    credentials_changed.send(
        User, user=owner, event=events.DELETION_REQUESTED.name, actor=actor, keep=None
    )
    _withdraw_rights(owner, actor)
    return owner.deletion_due


def _withdraw_rights(owner: User, actor: Actor) -> None:
    """Withdraw the rights of ``owner``. They are not given back if the account is kept."""
    giving = Group.objects.filter(user=owner, permissions__isnull=False).distinct()
    if not (owner.is_privileged or giving or owner.user_permissions.exists()):
        return
    User.objects.filter(pk=owner.pk).update(is_staff=False, is_superuser=False)
    owner.groups.remove(*giving)
    owner.user_permissions.clear()
    note_groups_changed(User.objects.filter(pk=owner.pk))
    record(owner, events.RIGHTS_CHANGED, actor)
    tell_superusers(owner, actor)


@transaction.atomic
def undo(user: User, actor: Actor) -> bool:
    """Keep the account of ``user``; return whether its deletion had been requested."""
    rows = User.objects.select_for_update(no_key=True).filter(pk=user.pk)
    owner = rows.exclude(deletion_due=None).first()
    if owner is None:
        return False
    rows.update(deletion_due=None)
    owner.deletion_due = None
    record(owner, events.DELETION_UNDONE, actor)
    return True


def find_undo(token: str) -> Notice | None:
    """Return the notice whose link ``token`` can undo a deletion, or None.

    Only a notice about the latest request can. An address that was removed after an earlier request
    may belong to a thief.
    """
    notice = notices.find_notice(token)
    if notice is None or notice.user.deletion_due is None:
        return None
    requests = Activity.objects.filter(user=notice.user, kind=events.DELETION_REQUESTED.name)
    return notice if notice.row == requests.latest("pk") else None

"""Decides which rights a user has, and which groups the user may give to others."""

from collections.abc import Iterable
from enum import StrEnum

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.common import clock
from accounts.common.errors import PublicError
from accounts.users.models import User


class Role(StrEnum):
    """The role of a member of staff: what they may do with the accounts of others.

    Auditors only read. Support acts on users who are not staff. Managers also act on staff, and
    change groups. Superusers may do everything.
    """

    AUDITOR = "auditor"
    SUPPORT = "support"
    MANAGER = "manager"
    SUPERUSER = "superuser"


# The permission for each role, the most powerful first. Superusers have a column instead.
PERMISSIONS = {Role.MANAGER: "manage_user", Role.SUPPORT: "help_user", Role.AUDITOR: "view_user"}
ACTING = frozenset({Role.SUPPORT, Role.MANAGER, Role.SUPERUSER})


# The limit exists because each member of a changed group is notified and signed out in the
# transaction of the change, which takes about ten milliseconds.
MOST_MEMBERS = 500


class TooManyMembers(PublicError):
    """The group has more than ``MOST_MEMBERS`` members, so the change would take too long."""

    code = "invalid_target"
    message = _(
        "This group has more than 500 members. Give the rights to another group, or remove some "
        "members first."
    )


def all_of_few(members: Iterable[User]) -> list[User]:
    """Return the members of a group, if few enough to notify all in one transaction.

    Raises:
        TooManyMembers: there are more than ``MOST_MEMBERS``.
    """
    some = members[: MOST_MEMBERS + 1] if isinstance(members, QuerySet) else members
    if len(found := list(some)) > MOST_MEMBERS:
        raise TooManyMembers
    return found


def superusers() -> QuerySet[User]:
    """Return the active superusers whose accounts will not be deleted."""
    return User.objects.filter(is_superuser=True, is_active=True, deletion_due=None)


def lock_with_superusers(user: User) -> tuple[User | None, bool]:
    """Lock the row of ``user``; if ``user`` is a superuser, lock the rows of all superusers.

    The rows are locked until the end of the transaction. Return ``user`` as read under the lock, or
    None if the account has been deleted, and whether ``user`` is the last superuser. Without a
    superuser, the next start of the server would print a link to create an administrator.
    """
    wanted = Q(pk=user.pk)
    if user.is_superuser:
        wanted |= Q(is_superuser=True, is_staff=True, is_active=True, deletion_due=None)
    # A single statement with a fixed order, so that two superusers cannot deadlock.
    rows = User.objects.select_for_update(no_key=True).order_by("pk")
    locked = {row.pk: row for row in rows.filter(wanted)}
    current = locked.pop(user.pk, None)
    return current, bool(current and current.is_superuser and current.is_active and not locked)


def rights_of(user: User) -> set[int]:
    """Return the ids of the permissions of ``user``, even while the account is deactivated."""
    return {row.pk for row in permissions_of(user)}


def names_of_rights(user: User) -> list[str]:
    """Return the names of the permissions of ``user``, in the form for :meth:`User.has_perm`."""
    rows = permissions_of(user).values_list("content_type__app_label", "codename")
    return [f"{label}.{codename}" for label, codename in rows]


def permissions_of(user: User) -> QuerySet[Permission]:
    """Return the permissions of ``user``, direct or by a group. There may be duplicates."""
    held = Q(group__in=user.groups.all()) | Q(user=user)
    return Permission.objects.filter(held).order_by().only("pk")


def role_of(staff: User) -> Role | None:
    """Return the most powerful role of ``staff``, or None if the user has no role.

    A permission, given directly or by a group, gives a role. Only active staff have roles, and only
    people with a role may see other users in the admin.
    """
    if not (staff.is_active and staff.is_staff):
        return None
    if staff.is_superuser:
        return Role.SUPERUSER
    held = (role for role, name in PERMISSIONS.items() if staff.has_perm(f"accounts.{name}"))
    return next(held, None)


def sees_all_emails(staff: User) -> bool:
    """Return whether ``staff`` may see the email addresses of users without giving a reason.

    Auditors see shortened addresses.
    """
    return role_of(staff) in ACTING


def note_groups_changed(members: QuerySet[User]) -> None:
    """Set ``updated_at`` of ``members``, whose groups or the names of whose groups change."""
    members.update(updated_at=clock.now())


def groups_to_give(staff: User) -> QuerySet[Group]:
    """Return the groups that ``staff`` may give to others and take from them.

    Superusers may give all groups. Managers may give the groups that they are in, and other groups
    with permissions if they have all of these themselves. A group without permissions may give
    access to another service, so only managers who are in it may give it.
    """
    groups = Group.objects.order_by("name")
    if role_of(staff) not in {Role.MANAGER, Role.SUPERUSER}:
        return groups.none()
    if role_of(staff) is Role.SUPERUSER:
        return groups
    beyond = Permission.objects.exclude(pk__in=rights_of(staff))
    lesser = Q(permissions__isnull=False) & ~Q(permissions__in=beyond)
    return groups.filter(Q(pk__in=staff.groups.all()) | lesser).distinct()

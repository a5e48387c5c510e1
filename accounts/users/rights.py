"""Decides which rights a user has, and which groups the user may give to others."""

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from accounts.common import clock
from accounts.users.models import User


def superusers() -> QuerySet[User]:
    """Return the active superusers."""
    return User.objects.filter(is_superuser=True, is_active=True)


def rights_of(user: User) -> set[int]:
    """Return the ids of the permissions of ``user``, even while the account is deactivated."""
    return {row.pk for row in permissions_of(user)}


def permissions_of(user: User) -> QuerySet[Permission]:
    """Return the permissions of ``user``, perhaps repeated."""
    held = Q(group__in=user.groups.all()) | Q(user=user)
    return Permission.objects.filter(held).order_by().only("pk")


def sees_all_emails(staff: User) -> bool:
    """Return whether ``staff`` may see the email addresses of users without giving a reason.

    Staff who may only view users see shortened addresses.
    """
    acting = ("accounts.help_user", "accounts.manage_user")
    is_staff = staff.is_active and staff.is_staff
    return is_staff and any(staff.has_perm(name) for name in acting)


def note_groups_changed(members: QuerySet[User]) -> None:
    """Set ``updated_at`` of ``members``, who get or lose a group, or whose group is renamed."""
    members.update(updated_at=clock.now())


def groups_to_give(staff: User) -> QuerySet[Group]:
    """Return the groups that ``staff`` may give to others and take from them.

    Managers give the groups that they are in, and groups with no more rights than their own. A
    group without rights may mean something to another service, so only its members give it.
    """
    groups = Group.objects.order_by("name")
    if not (staff.is_active and staff.is_staff and staff.has_perm("accounts.manage_user")):
        return groups.none()
    if staff.is_superuser:
        return groups
    beyond = Permission.objects.exclude(pk__in=rights_of(staff))
    lesser = Q(permissions__isnull=False) & ~Q(permissions__in=beyond)
    return groups.filter(Q(pk__in=staff.groups.all()) | lesser).distinct()

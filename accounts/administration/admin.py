"""Users and groups in the admin, without passwords and other secrets.

Only superusers can change rights. Other staff with the permission to change users can do one thing:
deactivate and reactivate users who have no rights in the admin.
"""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record
from accounts.administration.people import PeopleAdmin
from accounts.common.signals import credentials_changed
from accounts.sessions.current import actor_of, session_of
from accounts.users.models import User

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
FACTS = ("id", "username", "email", "date_joined", "last_login")
RIGHTS_HINT = _(
    "Changing a user’s rights signs them out everywhere. We email the user and all "
    "superusers about it."
)


class UserForm(forms.ModelForm):
    """The form to change the state and the rights of a user."""

    class Meta:
        help_texts = {
            "is_active": _(
                "Inactive users are signed out everywhere and can’t sign in. We email the user "
                "about each change."
            ),
            "is_staff": _("Staff can open the administration pages."),
            "is_superuser": _("Superusers have all rights and can change other users’ rights."),
        }

    def clean(self) -> dict[str, Any]:
        """Refuse a change after which no active superuser would be left.

        Without one, the next start of the server would print a link to create an administrator.
        """
        data = super().clean() or {}
        needed = ("is_active", "is_staff", "is_superuser")
        stays = all(data.get(name, True) for name in needed)
        superusers = User.objects.select_for_update().filter(**dict.fromkeys(needed, True))
        if not stays and [row.pk for row in superusers] == [self.instance.pk]:
            raise forms.ValidationError(
                _("This is the last superuser. Make another user a superuser first.")
            )
        return data


class UserAdmin(PeopleAdmin):
    """The admin pages of users, which can change users but neither add nor delete them."""

    form = UserForm
    fieldsets = (
        (None, {"fields": (*FACTS, "is_active")}),
        (_("Rights"), {"fields": RIGHTS, "description": RIGHTS_HINT}),
    )
    filter_horizontal = ("groups", "user_permissions")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the fields that this user may not change.

        Only superusers may change rights, because other staff could extend their own rights.
        """
        return FACTS if _is_superuser(request) else (*FACTS, *RIGHTS)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save the fields that the form has changed, and no others.

        Saving all fields would undo a new password that the user has set meanwhile. A change of the
        state or the rights is recorded. It revokes the user's sessions, and the user is notified by
        email.
        """
        changed = set(form.changed_data)
        obj.save(update_fields=changed & {"is_active", "is_staff", "is_superuser"})
        of_staff = obj.is_privileged or bool(changed & set(RIGHTS))
        for event in _events(obj, changed):
            _tell(request, obj, event)
        if changed and of_staff:
            _tell_superusers(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: users sign up themselves and confirm their email address."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return False: staff deactivate users instead, which can be reversed."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return whether the user who makes the request may change ``obj``.

        Only superusers may change users who have rights in the admin.
        """
        allowed = super().has_change_permission(request, obj)
        return allowed and (_is_superuser(request) or obj is None or not _is_privileged(obj))


class GroupAdmin(auth_admin.GroupAdmin):
    """The admin page of groups. Groups give rights, so only superusers can change them."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the group, and notify its members if their rights have changed."""
        super().save_related(request, form, formsets, change)
        if "permissions" in form.changed_data:
            for member in form.instance.user_set.all():
                _tell_of_rights(request, member)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        """Delete the group, and notify its members that their rights have changed."""
        self.delete_queryset(request, Group.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        """Delete the groups, and notify their members that their rights have changed."""
        members = list(User.objects.filter(groups__in=queryset).distinct())
        super().delete_queryset(request, queryset)
        for member in members:
            _tell_of_rights(request, member)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


def _tell(request: HttpRequest, user: User, event: Event) -> None:
    """Record ``event``, revoke the sessions of ``user`` and notify the user by email.

    If ``user`` made the change, the current session is kept.
    """
    keep = session_of(request).pk if user == request.user else None
    credentials_changed.send(User, user=user, event=event.name, actor=_staff(request), keep=keep)


def _tell_superusers(request: HttpRequest, user: User) -> None:
    """Notify every other superuser that the rights or the state of ``user`` have changed."""
    for superuser in User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk):
        record(superuser, events.STAFF_CHANGED, _staff(request), detail=user.username)


def _tell_of_rights(request: HttpRequest, member: User) -> None:
    """Notify ``member`` of a group, and the superusers, that the rights of the group changed."""
    _tell(request, member, events.RIGHTS_CHANGED)
    _tell_superusers(request, member)


def _staff(request: HttpRequest) -> Actor:
    return replace(actor_of(request), name=request.user.get_username())


def _events(user: User, changed: set[str]) -> list[Event]:
    """Return the events to record for ``user`` after the fields in ``changed`` have changed."""
    found = {
        "is_active": events.SWITCHED_ON if user.is_active else events.SWITCHED_OFF,
        "is_staff": events.STAFF_GRANTED if user.is_staff else events.STAFF_WITHDRAWN,
        "is_superuser": (
            events.SUPERUSER_GRANTED if user.is_superuser else events.SUPERUSER_WITHDRAWN
        ),
        "groups": events.RIGHTS_CHANGED,
        "user_permissions": events.RIGHTS_CHANGED,
    }
    return list(dict.fromkeys(event for field, event in found.items() if field in changed))


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _is_privileged(user: User) -> bool:
    return user.is_privileged

"""Staff's view of users: who, since when, may they sign in. No digest, no secret, no rights raised.

Only a superuser changes rights; other staff with the permission may deactivate ordinary people.
"""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import record
from accounts.common.signals import credentials_changed
from accounts.sessions.current import actor_of, session_of
from accounts.users.models import User

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
FACTS = ("id", "username", "email", "date_joined", "last_login")


class UserForm(forms.ModelForm):
    """A person's state and rights."""

    def clean(self) -> dict[str, Any]:
        """Refuse to switch the last superuser off: the next start would print an owner link."""
        data = super().clean() or {}
        needed = ("is_active", "is_staff", "is_superuser")
        stays = all(data.get(name, True) for name in needed)
        superusers = User.objects.select_for_update().filter(**dict.fromkeys(needed, True))
        if not stays and [row.pk for row in superusers] == [self.instance.pk]:
            raise forms.ValidationError(_("This is the last superuser. Make another one first."))
        return data


class UserAdmin(admin.ModelAdmin):
    """People sign up by themselves: none is added or deleted here."""

    form = UserForm
    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username_key", "emails__key", "id")
    ordering = ("username_key",)
    fieldsets = ((None, {"fields": (*FACTS, "is_active")}), (_("Rights"), {"fields": RIGHTS}))
    filter_horizontal = ("groups", "user_permissions")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Rights are read-only for staff who aren't superusers, or one could give itself more."""
        return FACTS if _is_superuser(request) else (*FACTS, *RIGHTS)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Only what was changed, or a password changed meanwhile would come back; and tell."""
        changed = set(form.changed_data)
        obj.save(update_fields=changed & {"is_active", "is_staff", "is_superuser"})
        of_staff = obj.is_privileged or bool(changed & set(RIGHTS))
        for event in _events(obj, changed):
            _tell(request, obj, event, of_staff=of_staff)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """The filters shown and no others: ``?password__startswith=`` reads a digest by letters."""
        is_shown = lookup.partition("__")[0] in self.list_filter
        return is_shown and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: an address is only taken once confirmed, and nobody knows another's password."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Never: deactivating is the reversible way."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Staff change ordinary people only; superusers change anyone."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (_is_superuser(request) or obj is None or not _is_privileged(obj))


class GroupAdmin(auth_admin.GroupAdmin):
    """Groups give rights, so only superusers change them."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """As Django's; a change of the group's rights is one of its members'."""
        super().save_related(request, form, formsets, change)
        if "permissions" in form.changed_data:
            for member in form.instance.user_set.all():
                _tell(request, member, events.RIGHTS_CHANGED)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        """As Django's; its members lose rights."""
        self.delete_queryset(request, Group.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        """As Django's; the members of the groups lose rights."""
        members = list(User.objects.filter(groups__in=queryset).distinct())
        super().delete_queryset(request, queryset)
        for member in members:
            _tell(request, member, events.RIGHTS_CHANGED)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers only."""
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return _is_superuser(request)


def _tell(request: HttpRequest, user: User, event: Event, *, of_staff: bool = True) -> None:
    """End the sessions of ``user`` but this one, record by whom, and mail them.

    ``of_staff``: the change gives or takes rights in the admin, so every superuser is mailed.
    """
    actor = replace(actor_of(request), name=request.user.get_username())
    keep = session_of(request).pk if user == request.user else None
    credentials_changed.send(User, user=user, event=event.name, actor=actor, keep=keep)
    if of_staff:
        for superuser in User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk):
            record(superuser, events.STAFF_CHANGED, actor, detail=user.username)


def _events(user: User, changed: set[str]) -> list[Event]:
    """What a change of those fields means to the person."""
    found = [events.SWITCHED_ON if user.is_active else events.SWITCHED_OFF]
    switched = found if "is_active" in changed else []
    return switched + ([events.RIGHTS_CHANGED] if changed & set(RIGHTS) else [])


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _is_privileged(user: User) -> bool:
    return user.is_privileged

"""The forms and admin pages by which superusers and managers change the rights of others."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity.services import Actor
from accounts.administration import changes, person, roles
from accounts.common import secrets
from accounts.sessions.current import actor_of
from accounts.signin.adminsite import ListAdmin, ReasonForm, RowsField, chips
from accounts.users.models import User
from accounts.users.rights import groups_to_give, lock_with_superusers, note_groups_changed

FIELDS = ("is_staff", "is_superuser", "groups", "user_permissions")
CHANGED_MEANWHILE = gettext_lazy(
    "Somebody else has changed these rights meanwhile. Open the page again before you change them."
)


class _ByArea(ModelChoiceIterator):
    def __iter__(self) -> Iterator[Any]:
        for area, rights in groupby(self.queryset, key=_area_of):
            # The right to see something comes first in each area.
            ordered = sorted(rights, key=lambda right: not right.codename.startswith("view_"))
            yield area, [self.choice(right) for right in ordered]


class RightsField(RowsField):
    """A form field that lists permissions by area, with a check box and a plain name for each."""

    iterator = _ByArea

    def label_from_instance(self, obj: Permission) -> str:
        return _label_of(obj)


class RightsForm(forms.ModelForm):
    """The base of forms that change rights and ask for a reason.

    Rights that the member of staff may not change are not offered, and stay as they are.
    """

    reason = ReasonForm.base_fields["reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"permissions", "user_permissions"} & self.fields.keys():
            if self.instance.pk:
                held = getattr(self.instance, name).all()
                cast(RightsField, self.fields[name]).queryset = roles.rights_to_give(held)


class UserForm(RightsForm):
    """The form to change the rights of a user."""

    class Meta:
        labels = {"is_superuser": gettext_lazy("Superuser")}
        help_texts = {
            "is_staff": gettext_lazy("Staff can open the admin site."),
            "is_superuser": gettext_lazy(
                "Superusers have all rights and can change the rights of others."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read = _version(self.instance) if self.instance.pk else ""
        held, self._hidden = self.initial.get("groups", []), []
        if "groups" in self.fields:
            offered = cast(RowsField, self.fields["groups"]).queryset or ()
            self.initial["groups"] = [group for group in held if group in offered]
            self._hidden = [group.pk for group in held if group not in offered]

    def clean_groups(self) -> Any:
        """Return the chosen groups and those that the form does not offer."""
        chosen = [group.pk for group in self.cleaned_data["groups"]]
        return Group.objects.filter(pk__in=[*self._hidden, *chosen])

    @property
    def seen(self) -> str:
        """The version of the rights that the member of staff saw on the page."""
        return str(self.data.get("seen") or self._read)

    def clean(self) -> dict[str, Any]:
        """Refuse the change if the rights have changed since the page showed them.

        Refuse also to remove the last active superuser, because the next start of the server would
        print a link to create an administrator.
        """
        data = super().clean() or {}
        current, is_last = lock_with_superusers(self.instance)
        if _version(current or self.instance) != self.seen:
            raise forms.ValidationError(CHANGED_MEANWHILE)
        if current and current.deletion_due:
            raise forms.ValidationError(changes.WillBeDeleted.message)
        stays = all(data.get(name, True) for name in ("is_staff", "is_superuser"))
        if is_last and not stays:
            raise forms.ValidationError(
                _("This is the last superuser. Make somebody else a superuser first.")
            )
        return data


class GroupAdmin(ListAdmin, auth_admin.GroupAdmin):
    """The admin page of groups. Groups give rights, so only superusers can change them."""

    title = gettext_lazy("Groups")
    form = RightsForm
    list_display = ("name", "rights", "members")
    filter_horizontal = ()
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        groups = super().get_queryset(request).annotate(number=Count("user"))
        return groups.prefetch_related("permissions__content_type")

    @admin.display(description=gettext_lazy("Rights"))
    def rights(self, group: Group) -> SafeString:
        return chips(("", _label_of(right)) for right in group.permissions.all())

    @admin.display(description=gettext_lazy("Members"), ordering="number")
    def members(self, group: Any) -> int:
        return int(group.number)

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        return rights_field(_("Rights"))

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form, and to superusers the first members. That is a list of people."""
        if (group := context["original"]) and is_superuser(request):
            context["members"] = group.user_set.order_by("username_key")[: person.MOST]
            staff, number = cast(User, request.user), len(context["members"])
            person.record_shown(staff, actor_of(request), number)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the group, and notify its members if their rights have changed."""
        super().save_related(request, form, formsets, change)
        members, changed = form.instance.user_set.all(), form.changed_data
        if "name" in changed:
            note_groups_changed(members)
        if "permissions" not in changed:
            members = members.none()
        if {"name", "permissions"}.intersection(changed):
            changes.tell_group(form.instance, members, *_staff_of(request, form))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask for the reason, then delete the group and notify its members."""
        group = self.get_object(request, object_id)
        if group is None or not self.has_delete_permission(request):
            raise PermissionDenied
        if (form := ReasonForm(request.POST if request.method == "POST" else None)).is_valid():
            if changes.delete_group(group, *_staff_of(request, form)):
                messages.success(request, _("You’ve deleted the group %(name)s.") % {"name": group})
            else:
                sentence = _("An app is only for people in this group. Change the app first.")
                messages.error(request, sentence)
            return redirect("admin:auth_group_changelist")
        return self.page(request, "auth/group/delete", _("Delete group"), group=group, form=form)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    has_change_permission = has_delete_permission = has_add_permission


def _area_of(right: Permission) -> str:
    """Return the name of the area of the admin that ``right`` gives access to."""
    model = right.content_type.model_class()
    return str(capfirst(model._meta.verbose_name_plural if model else right.content_type.model))


def _label_of(right: Permission) -> str:
    is_own = right.content_type.app_label in roles.LABELS
    return str(roles.RIGHTS.get(right.codename, right.name) if is_own else right.name)


def rights_field(label: str) -> RightsField:
    """Return the form field for the permissions that a superuser can give."""
    return RightsField(roles.rights_to_give(), label=label, required=False)


def groups_field(staff: User) -> forms.ModelMultipleChoiceField:
    """Return the form field for the groups that ``staff`` can give."""
    return RowsField(groups_to_give(staff), label=_("Groups"), required=False)


def is_superuser(request: HttpRequest) -> bool:
    """Return whether the signed-in user is a superuser."""
    return cast(User, request.user).is_superuser


def _version(user: User) -> str:
    """Return a text that is different for different rights of ``user``."""
    given = [
        sorted(rows.values_list("pk", flat=True)) for rows in (user.groups, user.user_permissions)
    ]
    return secrets.digest(str((user.pk, user.is_staff, user.is_superuser, given)), "rights")


def tell_changes(request: HttpRequest, user: User, form: Any) -> None:
    """Record that ``form`` changed the rights of ``user``, and notify ``user`` and superusers."""
    changes.tell(user, set(form.changed_data), *_staff_of(request, form))


def _staff_of(request: HttpRequest, form: Any) -> tuple[User, Actor]:
    """Return the member of staff who sends ``form``, and the actor with the reason of the form."""
    actor = replace(actor_of(request), reason=form.cleaned_data["reason"])
    return cast(User, request.user), actor

"""The forms and admin pages for the rights of others, also those of people who are invited."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from math import ceil
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
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity.services import Actor
from accounts.administration import changes, person, roles
from accounts.common import clock, secrets
from accounts.common.localization import days_in_words
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.sessions.current import actor_of, session_of
from accounts.signin.adminsite import ListAdmin, ReasonForm, RowsField, chips, links
from accounts.users.forms import EmailField
from accounts.users.models import User
from accounts.users.rights import groups_to_give, lock_with_superusers, note_groups_changed

FIELDS = ("is_staff", "is_superuser", "groups", "user_permissions")
CHANGED_MEANWHILE = gettext_lazy(
    "Somebody else has changed these rights meanwhile. Open the page again before you change them."
)
MEMBERS_READ = gettext_lazy("Members can read this. Write nothing confidential.")


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
        if isinstance(self.instance, Group) and "reason" in self.fields:
            self.fields["reason"].help_text = MEMBERS_READ
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
        form = ReasonForm(request.POST if request.method == "POST" else None)
        form.fields["reason"].help_text = MEMBERS_READ
        if form.is_valid():
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


LIST = "admin:accounts_invitation_changelist"


class InviteForm(ReasonForm):
    """The form to invite a person. It offers only the rights that the inviter may give."""

    field_order = ("email", "groups", "is_staff", "days", "reason")

    email = EmailField()
    groups = RowsField(
        Group.objects.none(),
        label=gettext_lazy("Groups"),
        help_text=gettext_lazy(
            "The person joins these groups, except those that you can no longer give by then."
        ),
        required=False,
    )
    is_staff = forms.BooleanField(
        label=gettext_lazy("Staff"),
        help_text=gettext_lazy("Staff can open the admin site."),
        required=False,
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days"),
        help_text=gettext_lazy("The link works for this many days, at most 30."),
        initial=7,
        min_value=1,
        max_value=invitations.LONGEST_DAYS,
    )

    def __init__(self, inviter: User, *args: Any) -> None:
        super().__init__(*args)
        groups = groups_to_give(inviter)
        self.fields["groups"].queryset = groups  # type: ignore[attr-defined]  # of this field's type
        if not groups:
            del self.fields["groups"]
        if not inviter.is_superuser:
            del self.fields["is_staff"]
        self.fields["reason"].required = False
        self.fields["reason"].help_text = _(
            "Needed if the person becomes staff or gets rights. They can read the reason."
        )

    def clean(self) -> dict[str, Any]:
        """Require a reason if the invitation gives rights."""
        data = super().clean() or {}
        gives = invitations.gives_rights(
            data.get("groups") or (), is_staff=data.get("is_staff", False)
        )
        if gives and not data.get("reason") and "reason" not in self.errors:
            self.add_error("reason", self.fields["reason"].error_messages["required"])
        return data


class InvitationAdmin(ListAdmin):
    """The admin of invitations. An invitation is never changed; a new one replaces it."""

    title = gettext_lazy("Invitations")
    pages = ("changelist", "add", "delete")
    list_display = ("email", "rights", "invited_by", "created_at", "expires", "link")
    list_display_links = None
    list_select_related = ("invited_by",)
    search_fields = ("email_key",)
    ordering = ("-created_at",)
    actions = None

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the list and of the forms."""
        again = self.admin_site.admin_view(self.again_view)
        return [
            path("<uuid:id>/again/", again, name="accounts_invitation_act"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=gettext_lazy("Rights"))
    def rights(self, invitation: Invitation) -> str | None:
        """Return the names of the groups, and whether the person becomes staff."""
        names = [group.name for group in invitation.groups.all()]
        return ", ".join([_("Staff"), *names] if invitation.is_staff else names) or None

    @admin.display(description=gettext_lazy("Expires in"), ordering="expires_at")
    def expires(self, invitation: Invitation) -> SafeString:
        """Return the days until the link stops working, rounded up."""
        days = ceil((invitation.expires_at - clock.now()) / timedelta(days=1))
        return chips([("warn" if days < 2 else "", days_in_words(days))])

    @admin.display(description=gettext_lazy("Actions"))
    def link(self, invitation: Invitation) -> SafeString:
        """Return links to the pages that send the invitation again, and that revoke it."""
        return links(invitation, {"act": _("Send again"), "delete": _("Revoke")})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask whom to invite, and send the invitation."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        inviter = session_of(request).user
        form = InviteForm(inviter, request.POST if request.method == "POST" else None)
        if form.is_valid():
            data = dict(form.cleaned_data)
            actor = replace(actor_of(request), reason=data.pop("reason"))
            invitations.invite(inviter, actor=actor, **data)
            sentence = _("We’ve sent an email to %(email)s.")
            messages.success(request, sentence % {"email": data["email"]})
            return redirect(LIST)
        return self.page(request, "accounts/invitation/invite", _("Invite someone"), form=form)

    def again_view(self, request: HttpRequest, id: uuid.UUID) -> HttpResponse:
        """Ask whether to send an invitation again, and send it with a new link."""
        title, done = _("Send invitation again"), _("We’ve sent an email to %(email)s.")
        return self._ask(request, id, invitations.send_again, title, page="again", done=done)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask whether to revoke an invitation, and revoke it."""
        title, done = _("Revoke invitation"), _("You’ve revoked the invitation to %(email)s.")
        return self._ask(request, object_id, invitations.revoke, title, page="revoke", done=done)

    def _ask(
        self,
        request: HttpRequest,
        id: object,
        act: Callable[[Invitation, User, Actor], None],
        title: str,
        *,
        page: str,
        done: str,
    ) -> HttpResponse:
        """Show ``page``, which asks to confirm ``act`` on an invitation; do it if confirmed."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        invitation = self.get_object(request, str(id))
        if invitation and request.method != "POST":
            return self.page(request, f"accounts/invitation/{page}", title, invitation=invitation)
        try:
            if invitation is None:
                raise invitations.InvitationEnded
            act(invitation, session_of(request).user, actor_of(request))
        except invitations.InvitationEnded as error:
            messages.info(request, str(error))
        else:
            messages.success(request, done % {"email": invitation.email})
        return redirect(LIST)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may invite, which also allows to see and revoke invitations."""
        return invitations.may_invite(cast(User, request.user))

    has_view_permission = has_delete_permission = has_module_permission = has_add_permission

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: to change an invitation, send a new one."""
        return False

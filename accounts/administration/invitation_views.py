"""The admin pages of invitations: the list, and the forms to send, resend and revoke one."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity.services import Actor
from accounts.common import clock
from accounts.common.localization import days_in_words
from accounts.invitations import services as invitations
from accounts.invitations.models import Invitation
from accounts.sessions.current import actor_of, session_of
from accounts.signin.adminsite import ListAdmin, ReasonForm, RowsField, chips, links
from accounts.users.forms import EmailField
from accounts.users.models import User
from accounts.users.rights import groups_to_give

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

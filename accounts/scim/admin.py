"""The admin pages of directories: the list, the form, and the token, which is shown once."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.activity.services import Actor
from accounts.administration import known
from accounts.administration.act_views import ReasonForm, with_reason
from accounts.administration.known import Known
from accounts.administration.site import AREAS
from accounts.scim import services
from accounts.scim.models import Directory
from accounts.sessions.current import staff_of
from accounts.signin.adminsite import ListAdmin, chips
from accounts.users.models import User


class DirectoryForm(forms.ModelForm):
    """The form to add or change a directory."""

    reason = ReasonForm.base_fields["reason"]

    class Meta:
        model = Directory
        fields = services.FIELDS
        help_texts = {"expires_at": gettext_lazy("Optional. The token then stops working.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "reason" in self.fields:
            self.fields["reason"].help_text = _("All superusers can read it.")


class DirectoryAdmin(ListAdmin):
    """The admin of directories. A directory is disabled, not deleted."""

    title = gettext_lazy("Directories")
    pages = ("changelist", "add", "change")
    form = DirectoryForm
    fields = (*services.FIELDS, "reason")
    list_display = ("name", "used_at", "expires_at", "state")
    ordering = ("name",)
    actions = None
    change_form_template = "admin/scim/directory/change.html"

    @admin.display(description=gettext_lazy("state"))
    def state(self, directory: Directory) -> SafeString:
        """Return a chip for a disabled directory."""
        return chips([("bad", _("Disabled"))] if directory.disabled_at else [])

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the list, the form and the acts."""
        acts = {"token": self._make_token, "enabled": self._set_enabled}
        return [
            *(
                path(
                    f"<uuid:id>/{name}/",
                    self.admin_site.admin_view(require_POST(partial(self._act, act))),
                    name=f"scim_directory_{name}",
                )
                for name, act in acts.items()
            ),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj: Directory, form: Any, change: bool) -> None:
        """Save the directory. The attribute ``new_token`` of ``obj`` holds that of a new one."""
        obj.new_token = services.save(obj, staff_of(request, form.cleaned_data["reason"]))

    def response_add(
        self, request: HttpRequest, obj: Directory, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the token of the new directory."""
        return self._show(request, obj, obj.new_token)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form, and how many people the directory manages."""
        context["show_save_and_add_another"] = False
        if directory := context["original"]:
            context["people"] = directory.people.count()
        return super().render_change_form(request, context, *args, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: directories are disabled instead."""
        return False

    def _act(
        self,
        act: Callable[[HttpRequest, Directory, Actor], HttpResponse | None],
        request: HttpRequest,
        id: Any,
    ) -> HttpResponse:
        """Do ``act``; then, or if the reason is missing, show the page of the directory.

        Raises:
            PermissionDenied: the user may not change directories.
            Http404: there is no such directory.
        """
        if not self.has_change_permission(request):
            raise PermissionDenied
        directory = get_object_or_404(Directory, pk=id)
        shown = with_reason(request, partial(act, request, directory))
        return shown or redirect("admin:scim_directory_change", directory.pk)

    def _make_token(
        self, request: HttpRequest, directory: Directory, actor: Actor
    ) -> HttpResponse | None:
        try:
            token = services.rotate(directory, actor, now="now" in request.POST)
        except services.TokenReplaced as error:
            messages.error(request, str(error))
            return None
        return self._show(request, directory, token)

    def _set_enabled(self, request: HttpRequest, directory: Directory, actor: Actor) -> None:
        is_on = request.POST.get("enabled") == "yes"
        services.set_enabled(directory, actor, enabled=is_on)
        done = _("You’ve enabled the directory.") if is_on else _("You’ve disabled the directory.")
        messages.success(request, done)

    def _show(self, request: HttpRequest, directory: Directory, token: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **{"title": directory.name, "opts": self.opts, "directory": directory},
            **{"token": token, "url": services.url()},
        }
        return render(request, "admin/scim/directory/token.html", context)


def tokens_known_to(user: User) -> Iterator[Known]:
    """Return the tokens that ``user`` has made, for the page about a departure."""
    for row in Directory.objects.filter(made_by=user.pk, disabled_at=None).order_by("-created_at"):
        url = reverse("admin:scim_directory_token", args=[row.pk])
        action = gettext_lazy("End it and make a new one")
        kind = gettext_lazy("Token of a directory")
        fields = {"now": "1", "reason": _("Somebody who knows the token leaves the team.")}
        yield Known(kind, str(row), row.created_at, action, url, fields)


AREAS["scim.Directory"] = gettext_lazy("Other systems that create and deactivate accounts.")
known.SOURCES.insert(0, tokens_known_to)
admin.site.register(Directory, DirectoryAdmin)

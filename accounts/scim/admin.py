"""The admin pages of directories: the list, the form, and the token, which is shown once."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy

from accounts.activity.services import Actor
from accounts.administration import known
from accounts.administration.known import Known, secret_of
from accounts.administration.site import AREAS
from accounts.common.pages import absolute
from accounts.scim import services
from accounts.scim.models import Directory
from accounts.sessions.current import staff_of
from accounts.signin.adminsite import SecretAdmin, SecretForm
from accounts.users.models import User

# Widgets that browsers show as inputs for a date and a time.
INPUTS: dict[str, Any] = {
    "date_attrs": {"type": "date", "aria-label": gettext_lazy("Date")},
    "time_attrs": {"type": "time", "aria-label": gettext_lazy("Time")},
}


class DirectoryForm(SecretForm):
    """The form to add or change a directory."""

    class Meta:
        model = Directory
        fields = services.FIELDS
        help_texts = {"expires_at": gettext_lazy("Optional, in UTC. The token ends on this date.")}
        widgets = {
            "expires_at": forms.SplitDateTimeWidget(
                date_format="%Y-%m-%d", time_format="%H:%M", **INPUTS
            )
        }


class DirectoryAdmin(SecretAdmin):
    """The admin of directories. A directory is disabled, not deleted."""

    title = gettext_lazy("Directories")
    form = DirectoryForm
    fields = (*services.FIELDS, "reason")
    list_display = ("name", "used_at", "expires_at", "state")
    empty_value_display = gettext_lazy("Never")
    ordering = ("name",)
    change_form_template = "admin/scim/directory/change.html"
    secret = "token"  # noqa: S105 a name in URLs
    done = (
        gettext_lazy("You’ve disabled the directory."),
        gettext_lazy("You’ve enabled the directory."),
    )
    set_enabled = staticmethod(services.set_enabled)

    def rotate(self, row: Directory, actor: Actor, posted: QueryDict) -> str:
        """Replace the token of the directory, and return the new one."""
        return services.rotate(row, actor, now="now" in posted)

    def save_model(self, request: HttpRequest, obj: Directory, form: Any, change: bool) -> None:
        """Save the directory."""
        obj.new_secret = services.save(obj, staff_of(request, form.cleaned_data["reason"]))

    def context_of(self, row: Directory | None) -> dict[str, Any]:
        """Return how many people the directory manages, and the URL of the site for directories."""
        url = absolute("scim-config").rpartition("/")[0]
        return {"people": row.people.count(), "url": url} if row else {}


def tokens_known_to(user: User) -> Iterator[Known]:
    """Return the valid tokens that ``user`` created, for the page of known secrets."""
    for row in Directory.objects.filter(made_by=user.pk, disabled_at=None).order_by("-created_at"):
        kind = gettext_lazy("Token of a directory")
        yield secret_of(kind, row, row.created_at, "scim_directory_token", row.pk)


AREAS["scim.directory"] = "link", gettext_lazy("Other systems that create and deactivate accounts.")
# Move the overview to the end of the areas.
AREAS["accounts.dailycount"] = AREAS.pop("accounts.dailycount")
known.SOURCES.insert(0, tokens_known_to)
admin.site.register(Directory, DirectoryAdmin)

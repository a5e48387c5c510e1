"""The base class of the admin's lists."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ActionLocation
from django.http import HttpRequest
from django.utils.translation import gettext as _


class ListAdmin(admin.ModelAdmin):
    """A list whose choice of what to do with several rows has a translated name."""

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = None,
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        """Return what can be done with several rows, after an empty choice."""
        empty = [("", _("Choose what to do"))]
        return super().get_action_choices(request, empty, action_location)

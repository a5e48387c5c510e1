"""The base class of the admin's lists."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ActionLocation
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# Texts of Django's admin that the catalogue of this site translates itself: Django's German
# addresses people formally, as no other page does.
TRANSLATED_HERE = (
    gettext_lazy(
        'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? '
        "All of the following related items will be deleted:"
    ),
    gettext_lazy(
        "Are you sure you want to delete the selected %(objects_name)s? "
        "All of the following objects and their related items will be deleted:"
    ),
)


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

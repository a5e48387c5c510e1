"""Base classes for lists and forms in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ActionLocation
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LONGEST_SEARCH = 254
# Texts of Django's admin that this site translates itself, because Django's German addresses people
# formally and the other pages do not.
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


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no generic class at runtime
    """A list whose texts are translated, and in which no input of a client causes an error."""

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = None,
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        """Return the actions for several rows, after an empty choice."""
        empty = [("", _("Choose what to do"))]
        return super().get_action_choices(request, empty, action_location)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that Django finds for a short text without control characters.

        Databases refuse NUL, and a condition with a thousand words.
        """
        if not search_term.isprintable() or len(search_term) > LONGEST_SEARCH:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Return False: a condition in the URL could reveal a digest, or cause a database error."""
        return False

    def response_action(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> Any:
        """Run the chosen action on the selected rows.

        Raises:
            BadRequest: a selected value cannot be the id of a row.
        """
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(_is_id(queryset, text) for text in chosen):
            raise BadRequest
        return super().response_action(request, queryset, action_location)


class RowsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as above
    """A form field with a check box for each row of a query set."""

    widget = forms.CheckboxSelectMultiple

    def clean(self, value: Any) -> Any:
        """Return the chosen rows. Django asks the database even for ids that no row can have."""
        for text in value or ():
            if not _is_id(self.queryset, text):
                message = self.error_messages["invalid_pk_value"]
                raise ValidationError(message, "invalid_pk_value", {"pk": text})
        return super().clean(value)


def _is_id(rows: Any, text: object) -> bool:
    try:
        rows.model._meta.pk.clean(text, None)
    except ValidationError:
        return False
    return True

"""Forms of the profile page."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.common import time_zones
from accounts.users.forms import AboutField, DisplayNameField, UsernameField


class ProfileForm(forms.Form):
    """The form for name, description, language and time zone; needs no recent authentication."""

    display_name = DisplayNameField()
    about = AboutField()
    language = forms.ChoiceField(
        label=_("Language"),
        help_text=_("For these pages and for our emails to you."),
        choices=settings.LANGUAGES,
        widget=forms.Select({"class": "input", "autocomplete": "language"}),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        help_text=_("We show times in this time zone."),
        choices=time_zones.choices,
        widget=forms.Select({"class": "input", "autocomplete": "off"}),
    )


class RenameForm(forms.Form):
    """The form to change the username."""

    username = UsernameField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("New username")

"""Forms of the profile page."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.common import time_zones
from accounts.common.forms import text_input
from accounts.users.forms import AboutField, DisplayNameField, UsernameField


class TimeZoneField(forms.CharField):
    """A field for a time zone, by name or by city. It is empty for the time zone of the device."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Time zone"),
            help_text=_(
                "Enter a city, such as Berlin or New York. If you leave this empty, pages use "
                "your device’s time zone and emails use UTC."
            ),
            required=False,
            widget=text_input("off"),
            **options,
        )

    def prepare_value(self, value: Any) -> str:
        return "" if value == time_zones.DEFAULT else str(value or "").replace("_", " ")

    def clean(self, value: Any) -> str:
        typed = super().clean(value)
        name = time_zones.find(typed) if typed else time_zones.DEFAULT
        if name is None:
            raise ValidationError(_("Enter a large city in your time zone."))
        return name


class ProfileForm(forms.Form):
    """The form for name, description, language and time zone; needs no recent authentication."""

    display_name = DisplayNameField()
    about = AboutField()
    language = forms.ChoiceField(
        label=_("Language"),
        help_text=_("Used on these pages and in our emails to you."),
        choices=settings.LANGUAGES,
        widget=forms.Select({"class": "input", "autocomplete": "language"}),
    )
    time_zone = TimeZoneField()


class RenameForm(forms.Form):
    """The form to change the username."""

    username = UsernameField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("New username")

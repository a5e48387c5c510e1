"""Form fields for usernames and email addresses, and the form of a profile with its rules."""

import unicodedata
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.common import localization
from accounts.common.forms import no_longer_than, text_input
from accounts.common.text import refuse_invisible
from accounts.users import emails, usernames

DISPLAY_NAME_LENGTH = 60
ABOUT_LENGTH = 500
# Letters and marks without a visible shape, and separators that break a line.
_BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\uffa0")
# Newlines, and the joiners that Persian words and combined emoji need.
_ALLOWED = dict.fromkeys(map(ord, "\n\u200c\u200d"))


def canonical(value: str) -> str:
    """Return ``value`` in NFC and with LF as newline. Forms send CR LF for each newline."""
    return unicodedata.normalize("NFC", value).replace("\r\n", "\n").replace("\r", "\n")


def refuse_blank(value: str) -> None:
    """Refuse a name that contains characters without a visible shape.

    Raises:
        ValidationError: ``value`` contains an invisible or control character.
    """
    refuse_invisible(value)
    if _BLANK & set(value):
        raise ValidationError(_("Remove any invisible or control characters."), code="invisible")


def refuse_controls(value: str) -> None:
    """Refuse text with invisible characters, or with control characters other than newlines.

    Raises:
        ValidationError: ``value`` contains such a character, or nothing but joiners and spaces.
    """
    # Without this, staff could give a reason that nobody sees.
    refuse_blank(value.translate(_ALLOWED).strip(" ") or "\0")


class UsernameField(forms.CharField):
    """A field for a new username. It refuses names that are not allowed, but not taken names."""

    def __init__(self, *, by_operator: bool = False) -> None:
        self.by_operator = by_operator
        super().__init__(
            label=_("Username"),
            error_messages={"required": _("Enter a username.")},
            help_text=_(
                "Use only letters, digits, dots, hyphens and underscores. Other people may see "
                "your username."
            ),
            widget=text_input("username"),
            validators=[no_longer_than(4 * usernames.MAX_LENGTH)],
        )

    def clean(self, value: Any) -> str:
        return usernames.clean(super().clean(value), by_operator=self.by_operator)


class EmailField(forms.CharField):
    """A field for an email address. It converts the address to its stored form."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Email address"),
            error_messages={"required": _("Enter an email address.")},
            widget=text_input("email", "email"),
            validators=[no_longer_than(emails.MAX_LENGTH)],
        )

    def clean(self, value: Any) -> str:
        return emails.clean(super().clean(value))


class CanonicalField(forms.CharField):
    """A text field whose value is converted by :func:`canonical`."""

    def to_python(self, value: Any) -> str:
        # Convert the text before its length is checked, because NFC can make it longer.
        return canonical(super().to_python(value) or "")


class TimeZoneField(forms.CharField):
    """A field for a time zone, by name or by city. It is empty for the time zone of the device."""

    def prepare_value(self, value: Any) -> str:
        return "" if value == localization.DEFAULT else str(value or "").replace("_", " ")

    def clean(self, value: Any) -> str:
        typed = super().clean(value)
        name = localization.canonical_name(typed) if typed else localization.DEFAULT
        if name is None:
            raise ValidationError(_("Enter a large city in your time zone."))
        return name


def _name_field(label: Any, autocomplete: str) -> CanonicalField:
    return CanonicalField(
        label=label,
        required=False,
        widget=text_input(autocomplete),
        validators=[no_longer_than(DISPLAY_NAME_LENGTH), refuse_blank],
    )


class ProfileForm(forms.Form):
    """The form for names, description, language and time zone."""

    display_name = CanonicalField(
        label=_("Display name"),
        help_text=_("We greet you with this name. Up to 60 characters."),
        required=False,
        widget=text_input("nickname"),
        validators=[no_longer_than(DISPLAY_NAME_LENGTH), refuse_blank],
    )
    given_name = _name_field(_("First name"), "given-name")
    family_name = _name_field(_("Last name"), "family-name")
    about = CanonicalField(
        label=_("About you"),
        help_text=_("Plain text, up to 500 characters."),
        required=False,
        widget=forms.Textarea({"class": "input", "rows": 3, "autocomplete": "off"}),
        validators=[no_longer_than(ABOUT_LENGTH), refuse_controls],
    )
    language = forms.ChoiceField(
        label=_("Language"),
        help_text=_("We use this language on these pages and in our emails to you."),
        choices=settings.LANGUAGES,
        widget=forms.Select({"class": "input", "autocomplete": "language"}),
    )
    time_zone = TimeZoneField(
        label=_("Time zone"),
        help_text=_(
            "Enter a city in your time zone, such as Berlin or New York. If you leave this field "
            "empty, pages use your device’s time zone and emails use UTC."
        ),
        required=False,
        widget=text_input("off"),
    )

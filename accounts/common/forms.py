"""Shared parts of forms: rendering, widgets, and fields that return a canonical value."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext_lazy as _

from accounts.common.text import canonical_code


class Renderer(TemplatesSetting):
    """Renders forms and fields with the site's own templates."""

    form_template_name = "accounts/forms/form.html"
    field_template_name = "accounts/forms/field.html"


def code_input(**attrs: Any) -> forms.TextInput:
    """Return a text input for a one-time code that browsers and phones can fill in."""
    shared = {"class": "input code", "autocomplete": "one-time-code", "spellcheck": "false"}
    return forms.TextInput({**shared, **attrs})


def digits(count: int) -> dict[str, str]:
    """Return the attributes of an input whose form is sent by a script after ``count`` digits."""
    return {"inputmode": "numeric", "data-digits": str(count)}


class CodeField(forms.CharField):
    """A field for an emailed code. It accepts spaces, hyphens and the digits of every script."""

    def __init__(self, **options: Any) -> None:
        widget = code_input(autofocus=True, **digits(8))
        required = {"required": _("Enter the code.")}
        super().__init__(
            label=_("Code"), error_messages=required, max_length=64, widget=widget, **options
        )

    def clean(self, value: Any) -> str:
        return canonical_code(super().clean(value))


def no_longer_than(length: int) -> MaxLengthValidator:
    """Return a validator that refuses text of more than ``length`` characters.

    Use it instead of ``max_length``, which makes Django render a ``maxlength`` attribute. Browsers
    then silently cut pasted text: a cut email address may be another person's, and a cut password
    is wrong.
    """
    return MaxLengthValidator(length, _("Use at most %(limit_value)d characters."))


def text_input(autocomplete: str, kind: str = "text", **attrs: Any) -> forms.TextInput:
    """Return a one-line input in which browsers neither capitalize nor correct text.

    ``autocomplete`` and ``kind`` are the values of its ``autocomplete`` and ``type`` attributes.
    """
    unchanged = {"autocapitalize": "none", "spellcheck": "false"}
    shared = {"class": "input", "autocomplete": autocomplete, **unchanged}
    widget = forms.TextInput({**shared, **attrs})
    widget.input_type = kind
    return widget

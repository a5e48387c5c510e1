"""What all forms share: how they are drawn, and fields that know their canonical form."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext_lazy as _

from accounts.common.text import canonical_code


class Renderer(TemplatesSetting):
    """Draws every form with the site's own templates."""

    form_template_name = "accounts/forms/form.html"
    field_template_name = "accounts/forms/field.html"


def code_input(**attrs: str) -> forms.TextInput:
    """One input for a whole code, which browsers and phones may fill in."""
    shared = {"class": "input code", "autocomplete": "one-time-code", "spellcheck": "false"}
    return forms.TextInput({**shared, **attrs})


class CodeField(forms.CharField):
    """A mailed code, in any case and spacing."""

    def __init__(self, **options: Any) -> None:
        widget = code_input(autocapitalize="characters")
        super().__init__(label=_("Code"), max_length=64, widget=widget, **options)

    def clean(self, value: Any) -> str:
        """The code as it was made."""
        return canonical_code(super().clean(value))


def no_longer_than(length: int) -> MaxLengthValidator:
    """A limit without the ``maxlength`` of Django's ``max_length``: browsers cut what is pasted to
    it, silently, and a cut address is somebody else's and a cut password nobody's."""
    return MaxLengthValidator(length)


def text_input(autocomplete: str, kind: str = "text") -> forms.TextInput:
    """A one-line input that no browser capitalises or corrects."""
    widget = forms.TextInput(
        {
            "class": "input",
            "autocomplete": autocomplete,
            "autocapitalize": "none",
            "spellcheck": "false",
        }
    )
    widget.input_type = kind
    return widget

"""Form fields for codes of the second step, and the forms of second factors."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.common.forms import code_input, no_longer_than, text_input
from accounts.common.text import refuse_invisible, refuse_surrogates
from accounts.twofactor.models import canonical

LONGEST_NAME = 64


class FactorCodeField(forms.CharField):
    """A field for a code. It accepts spaces, any case, and the digits of every script."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(
            label=_("Code"),
            error_messages={"required": _("Enter the code.")},
            validators=[no_longer_than(64), refuse_surrogates],
            widget=code_input(autocapitalize="none", **attrs),
        )

    def clean(self, value: Any) -> str:
        return canonical(super().clean(value))


class NameField(forms.CharField):
    """A field for the name of a second factor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Name"),
            validators=[no_longer_than(LONGEST_NAME), refuse_invisible],
            widget=text_input("off"),
            **options,
        )


class SetupForm(forms.Form):
    """Asks for the first code of an authenticator app, and for a name."""

    code = FactorCodeField(inputmode="numeric")
    name = NameField(
        required=False, help_text=_("Optional. A name helps you tell your apps apart.")
    )


class OptionalNameForm(forms.Form):
    """Asks for the name of a new passkey. The name may be empty."""

    name = NameField(required=False, help_text=_("Optional. For example, “Laptop”."))


class RenameForm(forms.Form):
    """Asks for the new name of a second factor."""

    name = NameField()


class SavedForm(forms.Form):
    """Asks for one of the recovery codes, to confirm that the user has saved them."""

    code = FactorCodeField()

    def __init__(self, data: Any = None, *, accepts: Callable[[str], bool]) -> None:
        super().__init__(data)
        self._accepts = accepts

    def clean_code(self) -> str:
        """Require that ``accepts`` accepts the code; return the code."""
        code: str = self.cleaned_data["code"]
        if not self._accepts(code):
            sentence = _("This isn’t one of your recovery codes. Check the codes that you saved.")
            raise forms.ValidationError(sentence)
        return code

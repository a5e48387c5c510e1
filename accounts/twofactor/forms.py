"""Form fields for codes of the second step."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.common.forms import code_input, no_longer_than
from accounts.common.text import refuse_surrogates
from accounts.twofactor.codes import canonical

LONGEST_NAME = 64


class FactorCodeField(forms.CharField):
    """A field for a code. Spaces, case and the script of digits do not matter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Code"),
            error_messages={"required": _("Enter the code.")},
            validators=[no_longer_than(64), refuse_surrogates],
            widget=code_input(autocapitalize="none"),
            **options,
        )

    def clean(self, value: Any) -> str:
        return canonical(super().clean(value))


class TotpCodeField(FactorCodeField):
    """A field for the code of an authenticator app, for which phones show a numeric keyboard."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.widget.attrs["inputmode"] = "numeric"

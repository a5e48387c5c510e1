"""The field of every code of a second step."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.common.forms import code_input, no_longer_than
from accounts.common.text import refuse_surrogates
from accounts.twofactor.codes import canonical

LONGEST_NAME = 64


class FactorCodeField(forms.CharField):
    """Six digits or a recovery code, in any spacing, case and script of digits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Code"),
            validators=[no_longer_than(64), refuse_surrogates],
            widget=code_input(autocapitalize="none"),
            **options,
        )

    def clean(self, value: Any) -> str:
        """The code as it was made."""
        return canonical(super().clean(value))


class TotpCodeField(FactorCodeField):
    """The same on the page of an authenticator: a phone shows its digits only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.widget.attrs["inputmode"] = "numeric"

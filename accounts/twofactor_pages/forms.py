"""Forms to add and rename second factors, and to confirm that recovery codes are saved."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.common.forms import no_longer_than, text_input
from accounts.common.text import refuse_invisible
from accounts.twofactor.forms import LONGEST_NAME, FactorCodeField, TotpCodeField


class NameField(forms.CharField):
    """A field for the name that a person gives to a second factor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Name"),
            validators=[no_longer_than(LONGEST_NAME), refuse_invisible],
            widget=text_input("off"),
            **options,
        )


class SetupForm(forms.Form):
    """Ask for the first code of an authenticator app, and for a name."""

    code = TotpCodeField()
    name = NameField(
        required=False, help_text=_("Optional. A name helps you tell your apps apart.")
    )


class OptionalNameForm(forms.Form):
    """Ask for the name of a new passkey. The name may be empty."""

    name = NameField(required=False, help_text=_("Optional. For example, “Laptop”."))


class RenameForm(forms.Form):
    """Ask for the new name of a second factor."""

    name = NameField()


class SavedForm(forms.Form):
    """Ask for one of the recovery codes, to confirm that the user has saved them."""

    code = FactorCodeField()

"""The forms of second factors."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.common.forms import no_longer_than, text_input
from accounts.common.text import refuse_invisible
from accounts.twofactor.forms import LONGEST_NAME, FactorCodeField, TotpCodeField


class NameField(forms.CharField):
    """What a person calls a factor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Name"),
            validators=[no_longer_than(LONGEST_NAME), refuse_invisible],
            widget=text_input("off"),
            **options,
        )


class SetupForm(forms.Form):
    """The first code of an authenticator, and what to call it."""

    code = TotpCodeField()
    name = NameField(
        required=False, help_text=_("You may leave it empty. It tells several apps apart.")
    )


class OptionalNameForm(forms.Form):
    """What to call a passkey, for who wants to."""

    name = NameField(
        required=False, help_text=_("To know it by, such as “laptop”. It may stay empty.")
    )


class RenameForm(forms.Form):
    """Another name."""

    name = NameField()


class SavedForm(forms.Form):
    """One of the recovery codes, typed back."""

    code = FactorCodeField()

"""The forms of second factors."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.kernel.forms import no_longer_than, text_input
from accounts.kernel.text import refuse_invisible
from accounts.twofactor.forms import LONGEST_NAME, FactorCodeField, TotpCodeField


class NameField(forms.CharField):
    """What a person calls an authenticator."""

    def __init__(self, *, required: bool = True) -> None:
        super().__init__(
            label=_("Name of the app or phone"),
            required=required,
            help_text="" if required else _("You may leave it empty. It tells several apps apart."),
            validators=[no_longer_than(LONGEST_NAME), refuse_invisible],
            widget=text_input("off"),
        )


class SetupForm(forms.Form):
    """The first code of an authenticator, and what to call it."""

    code = TotpCodeField()
    name = NameField(required=False)


class RenameForm(forms.Form):
    """Another name."""

    name = NameField()


class SavedForm(forms.Form):
    """One of the recovery codes, typed back."""

    code = FactorCodeField()

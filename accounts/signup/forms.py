"""The forms of a sign-up."""

from django import forms

from accounts.kernel.forms import CodeField
from accounts.passwords.forms import CurrentPasswordField
from accounts.users.forms import AddressField


class ConfirmCodeForm(forms.Form):
    """The code of the mail."""

    code = CodeField()


class CorrectAddressForm(forms.Form):
    """The address that was meant."""

    email = AddressField()


class ConfirmHereForm(forms.Form):
    """A link opened in the browser that signed up: nothing more to show."""


class ConfirmElsewhereForm(forms.Form):
    """A link opened anywhere else: only who signed up knows the password."""

    password = CurrentPasswordField()

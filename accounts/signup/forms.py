"""The forms of a sign-up."""

from typing import Any

from django import forms

from accounts.passwords.forms import CurrentPasswordField
from accounts.signin.forms import NewAccountForm
from accounts.users.forms import EmailField


class SignupForm(NewAccountForm):
    """A new account, opened by a password, or by a passkey that is added later."""

    def clean(self) -> dict[str, Any]:
        """With the button for a passkey there is no password, whatever was typed."""
        if "passkey" not in self.data:
            return super().clean()
        self.errors.pop("password1", None)
        return {**self.cleaned_data, "password1": None}


class CorrectEmailForm(forms.Form):
    """The address that was meant."""

    email = EmailField()


class ConfirmHereForm(forms.Form):
    """A link opened in the browser that signed up: nothing more to show."""


class ConfirmElsewhereForm(forms.Form):
    """A link opened anywhere else: only who signed up knows the password."""

    password = CurrentPasswordField()

"""Forms of the sign-up pages."""

from typing import Any

from django import forms

from accounts.passwords.forms import CurrentPasswordField
from accounts.signin.forms import NewAccountForm
from accounts.users.forms import EmailField


class SignupForm(NewAccountForm):
    """A new account, with a password or with a passkey that is added after confirmation."""

    def clean(self) -> dict[str, Any]:
        """Ignore the password if the person chose to sign up with a passkey."""
        if "passkey" not in self.data:
            return super().clean()
        self.errors.pop("password1", None)
        return {**self.cleaned_data, "password1": None}


class CorrectEmailForm(forms.Form):
    """Another email address for a pending sign-up, in place of a mistyped one."""

    email = EmailField()


class ConfirmHereForm(forms.Form):
    """Confirms a link in the browser that signed up, where nothing more is asked."""


class ConfirmElsewhereForm(forms.Form):
    """Confirms a link in another browser, where the password shows that it is the same person."""

    password = CurrentPasswordField()

"""Forms of the sign-up pages."""

from typing import Any

from django import forms

from accounts.passwords.forms import CurrentPasswordField
from accounts.signin.forms import NewAccountForm
from accounts.users.forms import EmailField


class SignupForm(NewAccountForm):
    """The form for a new account with a password, or with a passkey that is added later."""

    def clean(self) -> dict[str, Any]:
        """Ignore the password if the person chose to sign up with a passkey."""
        if "passkey" not in self.data:
            return super().clean()
        self.errors.pop("password1", None)
        return {**self.cleaned_data, "password1": None}


class CorrectEmailForm(forms.Form):
    """The form to correct the email address of a pending sign-up."""

    email = EmailField()


class ConfirmForm(forms.Form):
    """The form to confirm a sign-up with the emailed link.

    Unless the browser is the one that signed up (``is_here``), it asks for the password, which only
    the person who signed up knows.
    """

    password = CurrentPasswordField()

    def __init__(self, *args: Any, is_here: bool) -> None:
        super().__init__(*args)
        if is_here:
            del self.fields["password"]

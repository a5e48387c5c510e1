"""Forms to request a password reset and to choose a new password."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.passwords.forms import CurrentPasswordField, NewPasswordField, refuse_guessable
from accounts.signin.forms import WhoField
from accounts.users.models import User


class WhoForm(forms.Form):
    """Ask a user who forgot the password for the username or email address."""

    login = WhoField()


class NewPasswordForm(forms.Form):
    """Ask for a new password for ``user``."""

    password1 = NewPasswordField()

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["password1"].label = _("New password")

    def clean(self) -> dict[str, Any]:
        refuse_guessable(self, "password1", self.user)
        return self.cleaned_data


class ResetForm(NewPasswordForm):
    """The form to set a new password with a reset link, and to remove lost second factors."""

    # The view removes this field unless ``ResetProgress.offers_removal`` is true.
    lost = forms.BooleanField(
        required=False, label=_("I’ve lost my second factors. Remove them all.")
    )


class FormerPasswordForm(forms.Form):
    """Ask for the password that the account had a week before the disputed change."""

    former = CurrentPasswordField(
        label=_("Your old password"),
        help_text=_(
            "The password that you had a week before the lock, even if it has changed since."
        ),
    )

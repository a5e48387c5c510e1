"""The form to object to a recovery."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.passwords.forms import CurrentPasswordField


class ObjectionForm(forms.Form):
    """Ask for the password that the account had a week before the recovery request."""

    former = CurrentPasswordField(required=False, label=_("Your password"))

"""The form of an objection to a recovery."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.passwords.forms import CurrentPasswordField


class ObjectionForm(forms.Form):
    """The password that the account had a week before the request."""

    former = CurrentPasswordField(required=False, label=_("Your password"))

"""The form of an objection."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.passwords.forms import CurrentPasswordField


class ObjectionForm(forms.Form):
    """What is shown beside the link and the browser: the password of before the request."""

    former = CurrentPasswordField(required=False, label=_("Your password"))

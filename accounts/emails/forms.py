"""The forms of the page of addresses."""

from django import forms

from accounts.common.forms import CodeField
from accounts.users.forms import EmailField


class AddEmailForm(forms.Form):
    """An address to add."""

    email = EmailField()


class CodeForm(forms.Form):
    """The code that was mailed to it."""

    code = CodeField()

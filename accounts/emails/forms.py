"""Forms of the page of email addresses."""

from django import forms

from accounts.common.forms import CodeField
from accounts.users.forms import EmailField


class AddEmailForm(forms.Form):
    """An email address to add."""

    email = EmailField()


class CodeForm(forms.Form):
    """The code that was mailed to the added email address."""

    code = CodeField()

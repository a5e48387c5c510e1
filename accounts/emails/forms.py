"""Forms of the page for email addresses."""

from django import forms

from accounts.common.forms import CodeField
from accounts.users.forms import EmailField


class AddEmailForm(forms.Form):
    """The form for an email address to add."""

    email = EmailField()


class CodeForm(forms.Form):
    """The form for the code that was emailed to the added email address."""

    code = CodeField()

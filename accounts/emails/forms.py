"""The form of the page of email addresses."""

from django import forms

from accounts.users.forms import EmailField


class AddEmailForm(forms.Form):
    """The form for an email address to add."""

    email = EmailField()

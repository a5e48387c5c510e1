"""The form of the page of email addresses."""

from django import forms

from accounts.users.forms import EmailField


class AddEmailForm(forms.Form):
    """The form to add an email address."""

    email = EmailField()

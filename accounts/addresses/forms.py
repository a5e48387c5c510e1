"""The forms of the page of addresses."""

from django import forms

from accounts.common.forms import CodeField
from accounts.users.forms import AddressField


class AddAddressForm(forms.Form):
    """An address to add."""

    email = AddressField()


class CodeForm(forms.Form):
    """The code that was mailed to it."""

    code = CodeField()

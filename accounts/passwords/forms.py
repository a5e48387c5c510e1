"""Form fields and widgets for passwords."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.common.forms import no_longer_than
from accounts.common.text import refuse_surrogates
from accounts.passwords.hashers import MAX_LENGTH
from accounts.users.models import User


class PasswordInput(forms.PasswordInput):
    """A password input with a button that shows the password.

    Users may paste a password. A submitted password is never sent back in a page.
    """

    template_name = "accounts/forms/password.html"

    def __init__(self, autocomplete: str, **attrs: str) -> None:
        super().__init__(
            {
                "class": "input",
                "autocomplete": autocomplete,
                "autocapitalize": "none",
                "spellcheck": "false",
                **attrs,
            }
        )


class NewPasswordInput(PasswordInput):
    """A password input for a new password, with the strength meter of ``strength.js``."""

    template_name = "accounts/forms/new_password.html"


class CurrentPasswordField(forms.CharField):
    """A field for an existing password.

    The length is not limited, so that a password that is too long gets the same error as any other
    wrong password.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("label", _("Password"))
        super().__init__(
            strip=False,
            error_messages={"required": _("Enter your password.")},
            widget=PasswordInput("current-password"),
            validators=[refuse_surrogates],
            **options,
        )


class NewPasswordField(forms.CharField):
    """A field for a new password of 12 to 1,024 characters (NIST SP 800-63B)."""

    def __init__(self, **options: Any) -> None:
        shortest = settings.AUTHSITE.shortest_password
        super().__init__(
            label=_("Password"),
            strip=False,
            min_length=shortest,
            error_messages={
                "required": _("Enter a new password."),
                "min_length": format_lazy(
                    _("Use at least {shortest} characters."), shortest=shortest
                ),
            },
            help_text=format_lazy(
                _("At least {shortest} characters. A few unrelated words work well."),
                shortest=shortest,
            ),
            widget=NewPasswordInput("new-password", passwordrules=f"minlength: {shortest};"),
            validators=[no_longer_than(MAX_LENGTH), refuse_surrogates],
            **options,
        )


def refuse_guessable(form: forms.Form, field: str, user: User) -> None:
    """Add an error to ``field`` of ``form`` if its password is easy to guess.

    The validators in ``AUTH_PASSWORD_VALIDATORS`` refuse passwords that are common, contain little
    more than the name of the site, or resemble the data of ``user``.
    """
    if password := form.cleaned_data.get(field):
        try:
            validate_password(password, user)
        except ValidationError as error:
            form.add_error(field, error)

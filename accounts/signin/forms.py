"""Forms to sign in and to reauthenticate, and the base class of forms for new accounts."""

from functools import lru_cache
from typing import Any

from django import forms
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.codes.forms import CodeForm
from accounts.common.forms import no_longer_than, text_input
from accounts.common.text import refuse_invisible
from accounts.passwords.forms import CurrentPasswordField, NewPasswordField, refuse_guessable
from accounts.twofactor.errors import MailedCodeUsedUp, WrongFactorCode
from accounts.twofactor.forms import FactorCodeField
from accounts.users import emails
from accounts.users.forms import EmailField, UsernameField
from accounts.users.models import User


class WhoField(forms.CharField):
    """A field for a username or email address. It does not look up an account."""

    def __init__(self, autocomplete: str = "username", **options: Any) -> None:
        super().__init__(
            label=_("Username or email address"),
            error_messages={"required": _("Enter your username or email address.")},
            validators=[no_longer_than(emails.MAX_LENGTH), refuse_invisible],
            widget=text_input(autocomplete, autofocus=True),
            **options,
        )


class RememberField(forms.BooleanField):
    """A check box to stay signed in after the browser is closed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(label=_("Keep me signed in on this device"), required=False, **options)


class LoginForm(forms.Form):
    """The form to sign in with a password."""

    # Browsers offer passkeys in this field (conditional mediation).
    login = WhoField("username webauthn")
    password = CurrentPasswordField()
    remember = RememberField()

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Render the form. The empty form is cached by language.

        Rendering it each time would take half of the time of the most requested page.
        """
        plain = not (self.is_bound or self.initial or args or kwargs)
        return _empty_login(get_language()) if plain else super().render(*args, **kwargs)

    __str__ = __html__ = render


@lru_cache
def _empty_login(_language: str | None) -> SafeString:
    return super(LoginForm, LoginForm()).render()


class WhoForm(forms.Form):
    """The form to request a sign-in code by email."""

    login = WhoField()
    remember = RememberField()


class SecondForm(CodeForm):
    """The form for a code in the second step of a sign-in.

    It accepts a code of an authenticator app, a recovery code or an emailed code.
    """

    wrong = WrongFactorCode
    used_up = MailedCodeUsedUp

    code = FactorCodeField(autofocus=True)


class PasswordForm(forms.Form):
    """The form to reauthenticate with the password."""

    password = CurrentPasswordField()


class NewAccountForm(forms.Form):
    """The form for the email address, username and password of a new account."""

    email = EmailField()
    username = UsernameField()
    password1 = NewPasswordField()

    def clean(self) -> dict[str, Any]:
        """Refuse a password that resembles the username or email address."""
        data = self.cleaned_data
        person = User(username=data.get("username", ""), email=data.get("email", ""))
        refuse_guessable(self, "password1", person)
        return data

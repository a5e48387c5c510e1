"""Who one is and by what password: the forms of an account that exists and of a new one."""

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
    """A name or an address, of somebody or nobody: it looks nobody up."""

    def __init__(self, autocomplete: str = "username", **options: Any) -> None:
        super().__init__(
            label=_("Username or email address"),
            validators=[no_longer_than(emails.MAX_LENGTH), refuse_invisible],
            widget=text_input(autocomplete),
            **options,
        )


class RememberField(forms.BooleanField):
    """Whether the sign-in outlives the browser."""

    def __init__(self, **options: Any) -> None:
        super().__init__(label=_("Keep me signed in on this device"), required=False, **options)


class LoginForm(forms.Form):
    """Who, by what, and for how long."""

    # Where browsers offer passkeys among the names (conditional mediation).
    login = WhoField("username webauthn")
    password = CurrentPasswordField()
    remember = RememberField()

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Drawn once for each language while nobody has filled it in: that is what the page that
        strangers ask for most takes half its time for."""
        plain = not (self.is_bound or self.initial or args or kwargs)
        return _empty_login(get_language()) if plain else super().render(*args, **kwargs)

    __str__ = __html__ = render


@lru_cache
def _empty_login(_language: str | None) -> SafeString:
    return super(LoginForm, LoginForm()).render()


class WhoForm(forms.Form):
    """Who wants a code by mail, and for how long."""

    login = WhoField()
    remember = RememberField()


class SecondForm(CodeForm):
    """Ask for a code of an authenticator app, a recovery code or a mailed code."""

    wrong = WrongFactorCode
    used_up = MailedCodeUsedUp

    code = FactorCodeField()


class PasswordForm(forms.Form):
    """Ask for the password of the signed-in user."""

    password = CurrentPasswordField()


class NewAccountForm(forms.Form):
    """What a new account needs."""

    username = UsernameField()
    email = EmailField()
    password1 = NewPasswordField()

    def clean(self) -> dict[str, Any]:
        """Refuse a password that anybody would guess for this person."""
        data = self.cleaned_data
        person = User(username=data.get("username", ""), email=data.get("email", ""))
        refuse_guessable(self, "password1", person)
        return data

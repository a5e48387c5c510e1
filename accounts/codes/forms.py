"""The form that asks for an emailed code."""

from collections.abc import Callable

from django import forms

from accounts.codes import services as codes
from accounts.codes.services import UsedUp, WrongCode
from accounts.common.errors import PublicError
from accounts.common.forms import CodeField


class CodeForm(forms.Form):
    """The form for an emailed code, which checks the code that was typed.

    ``wrong`` and ``used_up`` are the exceptions with which a check refuses a code.
    """

    wrong: type[PublicError] = WrongCode
    used_up: type[PublicError] = UsedUp

    code: forms.CharField = CodeField()

    def check[T](
        self, prove: Callable[[str], T], send_again: Callable[[], object] | None = None
    ) -> T | None:
        """Call ``prove`` with the typed code, and return its result.

        If the code is wrong, add an error to the field and return None. If the code has no attempts
        left, also call ``send_again``, which emails a new one.
        """
        if not self.is_valid():
            return None
        try:
            return prove(self.cleaned_data["code"])
        except self.used_up as error:
            self.add_error("code", codes.renewed(send_again) if send_again else str(error))
        except self.wrong as error:
            self.add_error("code", str(error))
        return None

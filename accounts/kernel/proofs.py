"""What someone has shown, in the words of RFC 8176: every way in brings one of these."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.kernel import clock


class Method(StrEnum):
    """How it was shown. The values are ``amr`` values, registered or named alike."""

    PASSWORD = "pwd"  # noqa: S105 the registered name of the method, no secret
    MAIL = "mail"
    OPERATOR = "operator"


WORDS: dict[str, Promise] = {
    Method.PASSWORD: _("password"),
    Method.MAIL: _("mail"),
    Method.OPERATOR: _("link of whoever runs the site"),
}


@dataclass(frozen=True)
class Proof:
    """One thing shown, and when."""

    method: Method
    at: datetime

    @classmethod
    def now(cls, method: Method) -> "Proof":
        """A proof that was given this moment."""
        return cls(method, clock.now())


def in_words(amr: Iterable[str]) -> str:
    """``amr`` values as people read them; one that is unknown stays as it is."""
    return ", ".join(str(WORDS.get(value, value)) for value in amr)

"""What someone has shown, in the words of RFC 8176: every way in brings one of these."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from accounts.kernel import clock


class Method(StrEnum):
    """How it was shown. The values are ``amr`` values, registered or named alike."""

    PASSWORD = "pwd"  # noqa: S105 the registered name of the method, no secret
    MAIL = "mail"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Proof:
    """One thing shown, and when."""

    method: Method
    at: datetime

    @classmethod
    def now(cls, method: Method) -> "Proof":
        """A proof that was given this moment."""
        return cls(method, clock.now())

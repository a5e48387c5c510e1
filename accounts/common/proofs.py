"""Proofs of identity. Every way to sign in produces one; methods are named as in RFC 8176."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.common import clock


class Method(StrEnum):
    """How a person proved who they are.

    The values are used in ``amr``; not all of them are registered in RFC 8176.
    """

    PASSWORD = "pwd"  # noqa: S105 the registered name of the method, no secret
    MAIL = "mail"
    OPERATOR = "operator"
    # Another site vouches for the person. This is one step, whatever that site asked for.
    PROVIDER = "fed"
    TOTP = "otp"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"
    TRUSTED_BROWSER = "trusted_browser"


# The methods that count as a second factor.
FACTORS = frozenset({Method.TOTP, Method.RECOVERY_CODE, Method.PASSKEY})


class Assurance(StrEnum):
    """How many steps a sign-in had: the ``acr`` of its session (OpenID Connect Core section 2)."""

    ONE_STEP = "aal1"
    TWO_STEPS = "aal2"


WORDS: dict[str, Promise] = {
    Method.PASSWORD: _("password"),
    Method.MAIL: _("mail"),
    Method.OPERATOR: _("link of whoever runs the site"),
    Method.PROVIDER: _("sign-in with another site"),
    Method.TOTP: _("authenticator app"),
    Method.RECOVERY_CODE: _("recovery code"),
    Method.PASSKEY: _("passkey"),
    Method.TRUSTED_BROWSER: _("trusted browser"),
    # Only API calls have this method, sign-ins do not.
    "api_key": _("API key"),
}


@dataclass(frozen=True)
class Proof:
    """One proof of identity, and when it was given.

    ``key`` tells apart several proofs of one method: it is the key of an email address, or the
    ``persistent_id`` that django-otp gives a second factor.
    """

    method: Method
    at: datetime
    key: str = ""

    @classmethod
    def now(cls, method: Method, key: str = "") -> "Proof":
        """Return a proof that is given at this moment."""
        return cls(method, clock.now(), key)


def assurance(amr: Iterable[str]) -> Assurance:
    """Return the assurance that proofs with these ``amr`` values give together."""
    return Assurance.TWO_STEPS if FACTORS.intersection(amr) else Assurance.ONE_STEP


def in_words(amr: Iterable[str]) -> str:
    """Return the names of ``amr`` values for people; an unknown value stays as it is."""
    return ", ".join(str(WORDS.get(value, value)) for value in amr)

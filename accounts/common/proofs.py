"""What someone has shown, in the words of RFC 8176: every way in brings one of these."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.common import clock


class Method(StrEnum):
    """How it was shown. The values are ``amr`` values, registered or named alike."""

    PASSWORD = "pwd"  # noqa: S105 the registered name of the method, no secret
    MAIL = "mail"
    OPERATOR = "operator"
    # Another site has said so, whatever was shown there: a first step, like a password.
    PROVIDER = "fed"
    TOTP = "otp"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"
    TRUSTED_BROWSER = "trusted_browser"


# What nobody has who has only a password or a mailbox.
FACTORS = frozenset({Method.TOTP, Method.RECOVERY_CODE, Method.PASSKEY})


class Assurance(StrEnum):
    """How much was shown: the ``acr`` of a login session (OpenID Connect Core, section 2)."""

    ONE_STEP = "aal1"
    TWO_STEPS = "aal2"


# From this number on, too few recovery codes are left.
FEW_RECOVERY_CODES = 3

# They follow "with", as in "Signed in with password and authenticator app".
WORDS: dict[str, Promise] = {
    Method.PASSWORD: _("password"),
    Method.MAIL: _("email"),
    Method.OPERATOR: _("a link from the operator of this site"),
    Method.PROVIDER: _("another site"),
    Method.TOTP: _("authenticator app"),
    Method.RECOVERY_CODE: _("a recovery code"),
    Method.PASSKEY: _("a passkey"),
    Method.TRUSTED_BROWSER: _("a trusted browser"),
    # API calls only: no sign-in has this value.
    "api_key": _("an API key"),
}


@dataclass(frozen=True)
class Proof:
    """One thing shown, and when.

    ``key`` says which one, where an account may have several: the key of an email address, or the
    id of a second factor as django-otp's ``persistent_id``.
    """

    method: Method
    at: datetime
    key: str = ""

    @classmethod
    def now(cls, method: Method, key: str = "") -> "Proof":
        """Return a proof that was given this moment."""
        return cls(method, clock.now(), key)


def assurance(amr: Iterable[str]) -> Assurance:
    """What those proofs are worth together."""
    return Assurance.TWO_STEPS if FACTORS.intersection(amr) else Assurance.ONE_STEP


def in_words(amr: Iterable[str]) -> str:
    """Return ``amr`` values in words, as "password and authenticator app".

    A value that is unknown stays as it is.
    """
    *others, last = [str(WORDS.get(value, value)) for value in amr] or [""]
    if not others:
        return last
    return gettext("%(others)s and %(last)s") % {"others": ", ".join(others), "last": last}

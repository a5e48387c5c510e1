"""Proofs of identity, such as a correct password or passkey. Each sign-in method makes one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.common import clock
from accounts.common.localization import listed


class OpenEnum(StrEnum):
    """An enumeration that keeps values which this version does not know.

    Calling the class with such a value returns it as a member that is equal to no listed member.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self:
        member = str.__new__(cls, value)
        member._name_ = member._value_ = str(value)
        return member


class Method(OpenEnum):
    """The method by which a person proved who they are.

    The values are those of the claim ``amr``; not all of them are registered in RFC 8176.
    """

    PASSWORD = "pwd"  # noqa: S105 the registered name of the method, no secret
    MAIL = "mail"
    OPERATOR = "operator"
    # The identity provider counts as one step, even if it required more from the person.
    PROVIDER = "fed"
    TOTP = "otp"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"
    # A passkey that the browser created by itself after a sign-in with the password. Until the user
    # confirms it, it counts no more than the password.
    UNCONFIRMED_PASSKEY = "unconfirmed_passkey"
    TRUSTED_BROWSER = "trusted_browser"


# The methods that count as a second factor.
FACTORS = frozenset({Method.TOTP, Method.RECOVERY_CODE, Method.PASSKEY})


class Assurance(StrEnum):
    """Whether a sign-in took one step or two steps.

    The values are those of the claim ``acr`` (OpenID Connect Core section 2).
    """

    ONE_STEP = "aal1"
    TWO_STEPS = "aal2"


# At this number of unused recovery codes or fewer, the user is warned.
FEW_RECOVERY_CODES = 3

# The words after "with", as in "Signed in with password and authenticator app".
WORDS: dict[str, str | Promise] = {
    Method.PASSWORD: _("password"),
    Method.MAIL: _("email"),
    Method.OPERATOR: _("one-time link"),
    Method.PROVIDER: _("sign-in provider"),
    Method.TOTP: _("authenticator app"),
    Method.RECOVERY_CODE: _("recovery code"),
    Method.PASSKEY: _("passkey"),
    Method.UNCONFIRMED_PASSKEY: _("passkey"),
    Method.TRUSTED_BROWSER: _("trusted browser"),
    # Only for API calls: no sign-in uses this method.
    "api_key": _("API key"),
}


@dataclass(frozen=True)
class Proof:
    """A proof of identity, and the time at which it was given.

    ``key`` distinguishes proofs of the same method: it is the canonical form of an email address,
    the ``persistent_id`` that django-otp gives to a second factor, or the name of a provider.
    ``factor`` is the second factor, if this request has verified it.
    """

    method: Method
    at: datetime
    key: str = ""
    factor: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def now(cls, method: Method, key: str = "") -> "Proof":
        """Return a proof that is given at this moment."""
        return cls(method, clock.now(), key)

    @classmethod
    def of(cls, method: Method, factor: Any) -> "Proof":
        """Return a proof, given at this moment, by the second factor ``factor``."""
        return cls(method, clock.now(), factor.persistent_id, factor)

    @classmethod
    def from_json(cls, stored: Sequence[str]) -> "Proof":
        """Return the proof that :meth:`to_json` has converted."""
        method, at, key, *_newer = stored
        return cls(Method(method), datetime.fromisoformat(at), key)

    def to_json(self) -> Sequence[str]:
        """Return the proof as JSON values, for the session data and the database."""
        return [self.method, self.at.isoformat(), self.key]


def assurance(amr: Iterable[str]) -> Assurance:
    """Return ``TWO_STEPS`` if one of the methods ``amr`` is a second factor, else ``ONE_STEP``."""
    return Assurance.TWO_STEPS if FACTORS.intersection(amr) else Assurance.ONE_STEP


def in_words(amr: Iterable[str], provider: str = "") -> str:
    """Return ``amr`` values in words, such as "password and authenticator app".

    Unknown values are returned unchanged. ``provider``: the name of the provider, if known.
    """
    words = WORDS | ({Method.PROVIDER: provider} if provider else {})
    *others, last = [str(words.get(value, value)) for value in amr] or [""]
    if not others:
        return last
    return gettext("%(others)s and %(last)s") % {"others": listed(others), "last": last}

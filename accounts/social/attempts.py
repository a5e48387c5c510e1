"""Attempts at a provider, and the data of a provider about a person.

People go to a provider to sign in, to connect an identity or to reauthenticate. An attempt begins
when the browser is redirected to the provider, and ends with the callback. It is stored in the
session data of the browser, and is valid once and for ten minutes. Its ``state`` (RFC 6749 section
10.12) works only in that browser. A single SQL statement checks the ``state`` and uses it up, so
that parallel requests cannot use it twice.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.codes import services as codes
from accounts.codes.services import Purpose
from accounts.common import clock, secrets
from accounts.common.errors import PublicError
from accounts.sessions.current import RequestAuth
from accounts.users import emails, usernames
from accounts.users.models import SHORT_SUBJECT


class Failed(Exception):
    """The provider's response is missing, reports an error or cannot be verified."""


class Refused(Exception):
    """The person has cancelled the sign-in at the provider."""


@dataclass(frozen=True)
class ProviderProfile:
    """The data of a provider about a person.

    ``issuer``, ``subject``: identify the person. All other fields may be empty.
    ``email``: the email address in canonical form.
    ``is_verified``: whether the provider has verified ``email``.
    ``signed_in_at``: the time at which the person last authenticated at the provider. None if the
        provider does not report it.
    """

    issuer: str
    subject: str
    email: str = ""
    is_verified: bool = False
    username: str = ""
    name: str = ""
    signed_in_at: datetime | None = None

    @property
    def verified_email(self) -> str:
        """The email address if it is verified, else empty."""
        return self.email if self.is_verified else ""

    @property
    def label(self) -> str:
        """The email address or username by which users recognize their account at the provider.

        The label appears in emails to the user. It never contains free text, because an attacker
        could choose such text.
        """
        return self.email or usernames.suggest(self.username)

    @property
    def known_as(self) -> str:
        """The label; the first characters of the subject if the label is empty."""
        return self.label or self.subject[:SHORT_SUBJECT]


def email_of(value: object) -> str:
    """Return the email address ``value`` in canonical form; an empty string if it is invalid."""
    try:
        return emails.clean(value) if isinstance(value, str) else ""
    except ValidationError:
        return ""


def text_of(value: object) -> str:
    """Return ``value`` as one line of at most 100 characters; empty if it is not a string."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:100]


STATE = Purpose("provider.state", life=timedelta(minutes=10))
KEY = "provider_attempts"
# The maximum number of attempts, because several tabs may be at a provider simultaneously.
MOST = 5


class AttemptPurpose(StrEnum):
    """The purpose of an attempt at a provider."""

    SIGN_IN = "sign-in"
    CONNECT = "connect"
    REAUTHENTICATE = "prove"


class NotBegunHere(PublicError):
    """The ``state`` is missing, wrong, used, expired, or from another browser or provider."""

    code = "wrong_state"
    message = _("You started this in another browser, or too much time has passed. Start again.")


def allowed_purpose(wanted: str | None, request_auth: RequestAuth) -> AttemptPurpose:
    """Return the purpose of an attempt for a request that asks for ``wanted``.

    Connecting an identity requires a session. Reauthentication requires a session, too, but its
    cookie may come from a browser that did not sign in, because that browser has to reauthenticate.
    In all other cases, the purpose is a sign-in.
    """
    if wanted == AttemptPurpose.CONNECT and request_auth.session:
        return AttemptPurpose.CONNECT
    if wanted == AttemptPurpose.REAUTHENTICATE and request_auth.presented:
        return AttemptPurpose.REAUTHENTICATE
    return AttemptPurpose.SIGN_IN


def _now() -> float:
    return clock.now().timestamp()


@dataclass(frozen=True)
class Attempt:
    """An attempt at a provider, and the values to compare with the provider's response.

    ``session``: the id of the session in which the person is signed in; empty for a sign-in.
    ``nonce``: the value that the ID token must contain.
    ``verifier``: the code verifier of PKCE.
    ``began``: the time at which the attempt began, in seconds since 1970.
    """

    provider: str
    purpose: AttemptPurpose
    next_url: str = ""
    remember: bool = False
    session: str = ""
    # Both values have 256 random bits, in the alphabet of RFC 7636 section 4.1.
    nonce: str = field(default_factory=secrets.token)
    verifier: str = field(default_factory=secrets.token)
    began: float = field(default_factory=_now)

    @property
    def began_at(self) -> datetime:
        """The time at which the browser was sent to the provider."""
        return datetime.fromtimestamp(self.began, tz=clock.now().tzinfo)


def start(request: HttpRequest, attempt: Attempt) -> str:
    """Store ``attempt`` in this browser's session data; return its ``state``."""
    key = secrets.token(16)
    attempts = {**request.session.get(KEY, {}), key: asdict(attempt)}
    newest = sorted(attempts, key=lambda k: attempts[k]["began"])[-MOST:]
    request.session[KEY] = {k: attempts[k] for k in newest}
    return codes.issue_link(STATE, key)


def take(request: HttpRequest, provider: str, state: str) -> Attempt:
    """Use up ``state``, and return its attempt.

    Raises:
        NotBegunHere: ``state`` was used or has expired, or this browser has not begun an
            attempt with it at ``provider``.
    """
    key = codes.subject_of(STATE, state) if state else None
    attempts = request.session.get(KEY, {})
    if key is None or key not in attempts or attempts[key]["provider"] != provider:
        raise NotBegunHere
    request.session[KEY] = {k: attempts[k] for k in attempts if k != key}
    # A newer release may have stored other fields, or another purpose.
    fields, stored = Attempt.__dataclass_fields__, attempts[key]
    if not codes.redeem(STATE, key, state) or stored["purpose"] not in AttemptPurpose:
        raise NotBegunHere
    known = {name: value for name, value in stored.items() if name in fields}
    return Attempt(**known | {"purpose": AttemptPurpose(stored["purpose"])})

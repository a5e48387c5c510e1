"""Provider profiles: what a provider says about a person, in the same form for all providers."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from accounts.users import emails, usernames
from accounts.users.models import SHORT_SUBJECT


class Failed(Exception):
    """The provider's response is missing, reports an error or cannot be verified."""


class Refused(Exception):
    """The person has cancelled the sign-in at the provider."""


@dataclass(frozen=True)
class ProviderProfile:
    """What a provider says about a person.

    ``issuer`` and ``subject`` identify the person. All other fields may be empty.

    ``email``: the email address in canonical form.
    ``is_verified``: whether the provider has verified ``email``.
    ``signed_in_at``: the time at which the person last authenticated at the provider. None if the
        provider does not say.
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
        """The label. If the label is empty, the first characters of the subject."""
        return self.label or self.subject[:SHORT_SUBJECT]


def email_of(value: object) -> str:
    """Return the email address ``value`` in canonical form.

    If ``value`` is not a valid email address, return an empty string.
    """
    try:
        return emails.clean(value) if isinstance(value, str) else ""
    except ValidationError:
        return ""


def text_of(value: object) -> str:
    """Return ``value`` as one line of at most 100 characters.

    If ``value`` is not a string, return an empty string.
    """
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:100]

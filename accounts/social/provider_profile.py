"""Provider profiles: what a provider says about a person, in the same form for all providers."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from accounts.users import emails, usernames
from accounts.users.identities import SHORT_SUBJECT


@dataclass(frozen=True)
class ProviderProfile:
    """A person at a provider, identified by ``issuer`` and ``subject``; all else may be empty.

    ``email`` is in canonical form. ``is_verified`` says whether the provider has verified it.
    ``signed_in_at`` is when the person last authenticated at the provider, or None if the provider
    does not say.
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

        The label appears in emails, so it contains no free text that a stranger could have chosen.
        """
        return self.email or usernames.suggest(self.username)

    @property
    def known_as(self) -> str:
        """The label, or the start of the subject if the label is empty."""
        return self.label or self.subject[:SHORT_SUBJECT]


def email_of(value: object) -> str:
    """Return the email address ``value`` in canonical form; empty if it is not valid."""
    try:
        return emails.clean(value) if isinstance(value, str) else ""
    except ValidationError:
        return ""


def text_of(value: object, most: int = 100) -> str:
    """Return ``value`` as one line of at most ``most`` characters; empty if it is not a string."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:most]

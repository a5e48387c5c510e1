"""Provider profiles: what a provider says about a person, in one form for all providers."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from accounts.users import emails, usernames
from accounts.users.identities import SHORT_SUBJECT


@dataclass(frozen=True)
class ProviderProfile:
    """A person at a provider, identified by ``issuer`` and ``subject``; all else may be empty.

    ``email`` is in canonical form. ``is_verified`` tells whether the provider itself has verified
    it. ``signed_in_at`` is when the person last authenticated at the provider, if the provider says
    so.
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
        """What the owner recognizes the account by.

        It appears in mails, so it contains no free text that a stranger could have chosen.
        """
        return self.email or usernames.suggest(self.username)

    @property
    def known_as(self) -> str:
        """What tells the account from others at the same provider."""
        return self.label or self.subject[:SHORT_SUBJECT]


def email_of(value: object) -> str:
    """Return a provider's value as an email address in canonical form; empty if it is not valid."""
    try:
        return emails.clean(value) if isinstance(value, str) else ""
    except ValidationError:
        return ""


def text_of(value: object, most: int = 100) -> str:
    """Return a provider's value as one line of at most ``most`` characters; empty if no string."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:most]

"""What a provider says of who is there, in one form for all of them."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from accounts.users import emails, usernames
from accounts.users.identities import SHORT_SUBJECT


@dataclass(frozen=True)
class ProviderProfile:
    """Who it is: ``issuer + subject``; the rest may be empty.

    ``email`` is clean. ``is_verified``: the provider has itself found that the mailbox is theirs.
    ``signed_in_at``: when they last showed the provider who they are, if it says so.
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
        """The address if it counts here."""
        return self.email if self.is_verified else ""

    @property
    def label(self) -> str:
        """What its owner knows it by. It stands in mails of ours: no free text of a stranger's."""
        return self.email or usernames.suggest(self.username)

    @property
    def known_as(self) -> str:
        """What tells it from others of the same site."""
        return self.label or self.subject[:SHORT_SUBJECT]


def email_of(value: object) -> str:
    """What a provider sent for an address, clean; empty if it's none of ours."""
    try:
        return emails.clean(value) if isinstance(value, str) else ""
    except ValidationError:
        return ""


def text_of(value: object, most: int = 100) -> str:
    """What a provider sent for a name, on one line; empty if it's none."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:most]

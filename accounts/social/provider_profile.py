"""What a provider says of who is there, in one form for all of them."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from accounts.identities.models import SHORT_SUBJECT
from accounts.users import emails, usernames


@dataclass(frozen=True)
class Claim:
    """Who it is: ``issuer + subject``; the rest may be empty.

    ``address`` is clean. ``is_verified``: the provider has itself found that the mailbox is theirs.
    ``signed_in_at``: when they last showed the provider who they are, if it says so.
    """

    issuer: str
    subject: str
    address: str = ""
    is_verified: bool = False
    username: str = ""
    name: str = ""
    signed_in_at: datetime | None = None

    @property
    def verified_address(self) -> str:
        """The address if it counts here."""
        return self.address if self.is_verified else ""

    @property
    def label(self) -> str:
        """What its owner knows it by. It stands in mails of ours: no free text of a stranger's."""
        return self.address or usernames.suggest(self.username)

    @property
    def known_as(self) -> str:
        """What tells it from others of the same site."""
        return self.label or self.subject[:SHORT_SUBJECT]


def address_of(value: object) -> str:
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
